{{/* The settings as flags; `zitadel-operator run --help` explains them. */}}
{{- define "zitadel-operator.args" -}}
- run
- --name={{ include "zitadel-operator.fullname" . }}
- --leader-election=true
- "--admin-address=[::]:{{ .Values.adminPort }}"
- --log-format={{ .Values.log.format }}
- {{ printf "--log=%s" .Values.log.filter | quote }}
- --concurrency={{ .Values.concurrency }}
- --max-requests-per-second={{ .Values.maxRequestsPerSecond }}
- --min-resync-seconds={{ .Values.minResyncSeconds }}
{{- with .Values.labelSelector }}
- {{ printf "--label-selector=%s" . | quote }}
{{- end }}
{{- range .Values.watchNamespaces }}
- {{ printf "--watch-namespace=%s" . | quote }}
{{- end }}
{{- range .Values.proxy.except }}
- {{ printf "--proxy-except=%s" . | quote }}
{{- end }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A proxy's URL may hold a password, so it is in no argument. */}}
{{- define "zitadel-operator.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: SERVICE_ACCOUNT
  valueFrom:
    fieldRef:
      fieldPath: spec.serviceAccountName
{{- with .Values.proxy.secretName }}
- name: PROXY
  valueFrom:
    secretKeyRef:
      name: {{ . | quote }}
      key: {{ $.Values.proxy.secretKey | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
