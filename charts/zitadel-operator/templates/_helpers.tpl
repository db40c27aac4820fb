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
app.kubernetes.io/name: {{ include "zitadel-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "zitadel-operator.labels" -}}
{{- include "zitadel-operator.labelsWith" (list . dict) }}
{{- end }}

{{/* Those of an object that has some of its own. Each is there once: the more specific wins, and always what is selected
and what Helm goes by. */}}
{{- define "zitadel-operator.labelsWith" -}}
{{- $own := last . | default dict }}
{{- with first . }}
{{- $chart := printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- $general := dict "helm.sh/chart" $chart "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $fixed := include "zitadel-operator.selectorLabels" . | fromYaml }}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .Release.Service }}
{{- mergeOverwrite $general (.Values.commonLabels | default dict) $own $fixed | toYaml }}
{{- end }}
{{- end }}

{{/* The Pod's, without those of a version: a new chart alone restarts nothing. */}}
{{- define "zitadel-operator.podLabels" -}}
{{- $selected := include "zitadel-operator.selectorLabels" . | fromYaml }}
{{- with .Values }}
{{- mergeOverwrite dict (.commonLabels | default dict) (.podLabels | default dict) $selected | toYaml }}
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
