{{- define "zitadel-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* The name of everything here, and of the Lease. 50 characters leave room for what is appended. */}}
{{- define "zitadel-operator.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name }}
{{- $release := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $release | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "zitadel-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "zitadel-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "zitadel-operator.labels" -}}
{{ include "zitadel-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "zitadel-operator.serviceAccountName" -}}
{{- $default := ternary (include "zitadel-operator.fullname" .) "default" .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default $default }}
{{- end }}

{{- define "zitadel-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "zitadel-operator.serviceAccountName" . }}
    namespace: {{ .Release.Namespace | quote }}
{{- end }}

{{/* A digest wins over a tag. */}}
{{- define "zitadel-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}
