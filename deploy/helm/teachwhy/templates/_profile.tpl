{{/* The cluster as runs need to know it: pipelines/cluster/profile.py. */}}

{{/* Where pods may run, and what each gets, in the profile's words. Takes a placement of values. */}}
{{- define "teachwhy.profilePlacement" -}}
{{- $placement := dict "cpu" .cpu "memory" .memory -}}
{{- with .gpus }}{{ $_ := set $placement "gpus" (int .) }}{{ end -}}
{{- if .gpus }}{{ $_ := set $placement "gpu_resource" .gpuResource }}{{ end -}}
{{- with .sharedMemory }}{{ $_ := set $placement "shared_memory" . }}{{ end -}}
{{- with .nodeSelector }}{{ $_ := set $placement "node_selector" . }}{{ end -}}
{{- with .tolerations }}{{ $_ := set $placement "tolerations" . }}{{ end -}}
{{- with .priorityClassName }}{{ $_ := set $placement "priority_class" . }}{{ end -}}
{{- toYaml $placement -}}
{{- end -}}

{{/* Secrets of a runner's pod by the folder that each is mounted at, as YAML; less storage's. */}}
{{- define "teachwhy.runnerSecrets" -}}
{{- $secrets := dict -}}
{{- if .Values.tls.enabled }}{{ $_ := set $secrets "/run/secrets/teachwhy/tls" (include "teachwhy.tlsSecret" .) }}{{ end -}}
{{- with .Values.auth.existingSecret }}{{ $_ := set $secrets "/run/secrets/teachwhy/auth" . }}{{ end -}}
{{- toYaml (merge (deepCopy .Values.runner.secrets) $secrets) -}}
{{- end -}}

{{/* Settings of a runner's process, as YAML; less storage's. */}}
{{- define "teachwhy.runnerSettings" -}}
{{- $settings := dict -}}
{{- if .Values.tls.enabled -}}
{{- $_ := set $settings "PIPELINES_ROOMS_CHANNEL__CA_FILE" "/run/secrets/teachwhy/tls/ca.crt" -}}
{{- if .Values.tls.clientCertificates -}}
{{- $_ := set $settings "PIPELINES_ROOMS_CHANNEL__CERTIFICATE_FILE" "/run/secrets/teachwhy/tls/tls.crt" -}}
{{- $_ := set $settings "PIPELINES_ROOMS_CHANNEL__KEY_FILE" "/run/secrets/teachwhy/tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- if .Values.auth.existingSecret -}}
{{- $_ := set $settings "PIPELINES_ROOMS_CHANNEL__TOKEN_FILE" "/run/secrets/teachwhy/auth/token" -}}
{{- end -}}
{{- toYaml (merge (deepCopy .Values.runner.environment) $settings) -}}
{{- end -}}

{{- define "teachwhy.profile" -}}
{{- $values := .Values -}}
namespace: {{ .Release.Namespace }}
labels:
  app.kubernetes.io/instance: {{ .Release.Name }}
store:
  endpoint: {{ include "teachwhy.storageEndpoint" . | quote }}
  bucket: {{ $values.storage.bucket | quote }}
  region: {{ $values.storage.region | quote }}
  secure: {{ include "teachwhy.storageSecure" . }}
  credentials_secret: {{ include "teachwhy.storageSecret" . }}
  {{- with $values.storage.caSecret }}
  ca_secret: {{ . }}
  {{- end }}
rooms:
  {{- range $room := keys $values.services | sortAlpha }}
  {{ $room }}: {{ include "teachwhy.roomAddress" (list $ $room) | quote }}
  {{- end }}
training:
  image: {{ include "teachwhy.image" (list . "training" $values.training.digest) }}
  nodes: {{ $values.training.nodes }}
  {{- with $values.training.elastic }}
  {{- if .enabled }}
  elastic: {min_nodes: {{ .minNodes }}, max_nodes: {{ .maxNodes }}, max_restarts: {{ .maxRestarts }}}
  {{- end }}
  {{- end }}
  placement:
    {{- include "teachwhy.profilePlacement" $values.training.placement | nindent 4 }}
  {{- with $values.training.volumeClaim }}
  volume: {claim: {{ . }}}
  {{- end }}
  scratch: {{ $values.training.scratch | quote }}
  at_once: {{ $values.training.atOnce }}
  restarts: {{ $values.training.restarts }}
  deadline_seconds: {{ int64 $values.training.deadlineSeconds }}
  start_seconds: {{ int64 $values.training.startSeconds }}
  keep_seconds: {{ int64 $values.training.keepSeconds }}
  service_account: {{ include "teachwhy.componentName" (list . "training") }}
  {{- with $values.training.labels }}
  labels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
serving:
  runtime:
    kind: {{ $values.serving.runtime }}
    {{- if eq $values.serving.runtime "huggingface" }}
    runtime: {{ $values.serving.huggingfaceRuntime }}
    args: {{ toJson $values.serving.args }}
    {{- else }}
    image: {{ include "teachwhy.image" (list . "serving" $values.serving.digest) }}
    {{- with $values.serving.config }}
    settings:
      {{- range $name, $text := . }}
      {{ upper $name }}: {{ $text | quote }}
      {{- end }}
    {{- end }}
    {{- end }}
  mode: {{ $values.serving.mode }}
  placement:
    {{- include "teachwhy.profilePlacement" $values.serving.placement | nindent 4 }}
  service_account: {{ include "teachwhy.servingAccount" . }}
  min_replicas: {{ $values.serving.minReplicas }}
  max_replicas: {{ $values.serving.maxReplicas }}
  ready_seconds: {{ int64 $values.serving.readySeconds }}
  url: {{ $values.serving.url | quote }}
  gateway: {{ $values.serving.gateway | quote }}
  gateway_hostname: {{ $values.serving.gatewayHostname | quote }}
runner:
  image: {{ include "teachwhy.image" (list . "runner" $values.runner.digest) }}
  placement:
    {{- include "teachwhy.profilePlacement" $values.runner.placement | nindent 4 }}
  service_account: {{ include "teachwhy.componentName" (list . "runner") }}
  {{- with fromYaml (include "teachwhy.runnerSettings" .) }}
  environment:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with fromYaml (include "teachwhy.runnerSecrets" .) }}
  secrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
