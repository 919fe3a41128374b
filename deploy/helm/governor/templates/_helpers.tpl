{{- define "governor.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "governor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "governor.labels" -}}
{{ include "governor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "governor.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "governor.secretName" -}}
{{- if .Values.existingSecret }}{{ .Values.existingSecret }}{{ else if .Values.secret }}{{ include "governor.checkedSecret" . }}{{ include "governor.name" . }}{{ else }}{{ fail "set existingSecret, or secret with SLACK_BOT_TOKEN, SLACK_SIGNING_SECRET and DATABASE_URL" }}{{ end }}
{{- end }}

{{- define "governor.checkedSecret" -}}
{{- $database := .Values.secret.DATABASE_URL | default "" }}
{{- if not $database }}{{ fail "secret needs DATABASE_URL, the address of a PostgreSQL database" }}{{ end }}
{{- if hasPrefix "sqlite" $database }}{{ fail "DATABASE_URL must be of a PostgreSQL database: the pods share it, and keep no files" }}{{ end }}
{{- end }}

{{- define "governor.policiesNames" -}}
{{- if kindIs "slice" .Values.existingPolicies }}{{ join "," .Values.existingPolicies }}{{ else if .Values.existingPolicies }}{{ .Values.existingPolicies }}{{ else if .Values.policies }}{{ include "governor.name" . }}-policies{{ else }}{{ fail "set policies to the policy documents by file name, or existingPolicies to the name of a ConfigMap" }}{{ end }}
{{- end }}

{{- define "governor.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "governor.asksKubernetes" -}}
{{- if or .Values.kubernetes.admission .Values.kubernetes.namespaces .Values.kubernetes.canaries .Values.kubernetes.argocd.projects }}true{{ end }}
{{- end }}

{{- define "governor.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "governor.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "governor.environment" -}}
envFrom:
  - secretRef:
      name: {{ include "governor.secretName" . }}
env:
  - name: HOST
    value: "0.0.0.0"
  - name: PORT
    value: "3000"
  - name: POLICIES_DIR
    value: /policies
  # Named here, so that a Secret without it stops the pod instead of leaving the data in the pod.
  - name: DATABASE_URL
    valueFrom:
      secretKeyRef:
        name: {{ include "governor.secretName" . }}
        key: DATABASE_URL
  {{- range $name, $value := .Values.env }}
  - name: {{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}
