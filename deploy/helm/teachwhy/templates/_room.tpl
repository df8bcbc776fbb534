{{/* What a room is told, and what it is given to read. Each takes a list: root, room, values. */}}

{{- define "teachwhy.roomVariables" -}}
{{- $root := index . 0 -}}
{{- $room := index . 1 -}}
{{- $service := index . 2 -}}
{{- $prefix := upper $room -}}
- name: HOME
  value: /tmp
- name: {{ $prefix }}_HOST
  value: "0.0.0.0"
- name: {{ $prefix }}_PORT
  value: {{ $service.port | quote }}
- name: {{ $prefix }}_METRICS_PORT
  value: {{ $service.metricsPort | quote }}
- name: {{ $prefix }}_DRAIN_SECONDS
  value: {{ $service.drainSeconds | quote }}
{{ include "teachwhy.storageVariables" (list $root $prefix) }}
- name: {{ $prefix }}_STORE__TIMEOUT_SECONDS
  value: {{ $root.Values.storage.timeoutSeconds | quote }}
- name: {{ $prefix }}_STORE__MAX_ATTEMPTS
  value: {{ $root.Values.storage.maxAttempts | quote }}
{{- if $service.keepsReplies }}
- name: {{ $prefix }}_CACHE_FOLDER
  value: /var/cache/teachwhy
{{- end }}
{{- $endpoints := fromYaml (include "teachwhy.endpoints" (list $root $room)) }}
{{- if $endpoints }}
- name: {{ $prefix }}_ENDPOINTS
  value: {{ toJson $endpoints | quote }}
{{- end }}
{{- $judge := fromYaml (include "teachwhy.service" (list $root "judge")) }}
{{- if and (has "judge" $service.allowTo) $judge.enabled }}
- name: {{ $prefix }}_JUDGE
  value: {{ include "teachwhy.roomAddress" (list $root "judge") | quote }}
{{- with $judge.config.max_message_bytes }}
- name: {{ $prefix }}_JUDGE_CHANNEL__MAX_MESSAGE_BYTES
  value: {{ toJson . | quote }}
{{- end }}
{{- if $root.Values.tls.enabled }}
- name: {{ $prefix }}_JUDGE_CHANNEL__CA_FILE
  value: /run/secrets/teachwhy/tls/ca.crt
{{- if $root.Values.tls.clientCertificates }}
- name: {{ $prefix }}_JUDGE_CHANNEL__CERTIFICATE_FILE
  value: /run/secrets/teachwhy/tls/tls.crt
- name: {{ $prefix }}_JUDGE_CHANNEL__KEY_FILE
  value: /run/secrets/teachwhy/tls/tls.key
{{- end }}
{{- end }}
{{- if $root.Values.auth.existingSecret }}
- name: {{ $prefix }}_JUDGE_CHANNEL__TOKEN_FILE
  value: /run/secrets/teachwhy/auth/token
{{- end }}
{{- end }}
{{- if and (eq $room "rollout") $root.Values.vault.existingClaim }}
- name: {{ $prefix }}_VAULT_FOLDER
  value: /var/lib/teachwhy/vault
{{- end }}
{{- if $root.Values.tls.enabled }}
- name: {{ $prefix }}_TLS_CERTIFICATE_FILE
  value: /run/secrets/teachwhy/tls/tls.crt
- name: {{ $prefix }}_TLS_KEY_FILE
  value: /run/secrets/teachwhy/tls/tls.key
{{- if $root.Values.tls.clientCertificates }}
- name: {{ $prefix }}_TLS_CLIENT_CA_FILE
  value: /run/secrets/teachwhy/tls/ca.crt
{{- end }}
{{- end }}
{{- if $root.Values.auth.existingSecret }}
- name: {{ $prefix }}_TOKEN_FILE
  value: /run/secrets/teachwhy/auth/token
{{- end }}
{{- range $name, $value := $service.config }}
- name: {{ $prefix }}_{{ upper $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end -}}

{{/* Hosts of models that a room may ask, as YAML. Takes a list: root, room. */}}
{{- define "teachwhy.endpoints" -}}
{{- $root := index . 0 -}}
{{- $room := index . 1 -}}
{{- if eq $room "rollout" }}
default:
  base_url: {{ replace "{namespace}" $root.Release.Namespace $root.Values.serving.url | quote }}
{{- end }}
{{- range $name, $endpoint := $root.Values.modelEndpoints }}
{{- if has $room $endpoint.rooms }}
{{ $name }}:
  base_url: {{ $endpoint.baseUrl | quote }}
  {{- with $endpoint.protocol }}
  protocol: {{ . }}
  {{- end }}
  {{- if $endpoint.apiKey }}
  api_key_file: /run/secrets/teachwhy/endpoints/{{ $name }}/{{ $endpoint.apiKey.key }}
  {{- end }}
  {{- range $key, $value := $endpoint.settings }}
  {{ $key }}: {{ toJson $value }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "teachwhy.roomMounts" -}}
{{- $root := index . 0 -}}
{{- $room := index . 1 -}}
{{- $service := index . 2 -}}
- name: tmp
  mountPath: /tmp
{{ include "teachwhy.storageMounts" $root }}
{{- if $service.keepsReplies }}
- name: cache
  mountPath: /var/cache/teachwhy
{{- end }}
{{- if $root.Values.tls.enabled }}
- name: tls
  mountPath: /run/secrets/teachwhy/tls
  readOnly: true
{{- end }}
{{- if $root.Values.auth.existingSecret }}
- name: auth
  mountPath: /run/secrets/teachwhy/auth
  readOnly: true
{{- end }}
{{- range $name, $endpoint := $root.Values.modelEndpoints }}
{{- if and $endpoint.apiKey (has $room $endpoint.rooms) }}
- name: endpoint-{{ $name }}
  mountPath: /run/secrets/teachwhy/endpoints/{{ $name }}
  readOnly: true
{{- end }}
{{- end }}
{{- if and (eq $room "rollout") $root.Values.vault.existingClaim }}
- name: vault
  mountPath: /var/lib/teachwhy/vault
  readOnly: true
{{- end }}
{{- range $index, $folder := keys $service.mounts | sortAlpha }}
- name: mount-{{ $index }}
  mountPath: {{ $folder }}
  readOnly: true
{{- end }}
{{- end -}}

{{- define "teachwhy.roomVolumes" -}}
{{- $root := index . 0 -}}
{{- $room := index . 1 -}}
{{- $service := index . 2 -}}
- name: tmp
  emptyDir:
    sizeLimit: 256Mi
{{ include "teachwhy.storageVolumes" $root }}
{{- if $service.keepsReplies }}
- name: cache
  emptyDir:
    sizeLimit: {{ $service.cacheSize }}
{{- end }}
{{- if $root.Values.tls.enabled }}
- name: tls
  secret:
    secretName: {{ include "teachwhy.tlsSecret" $root }}
    defaultMode: 0440
{{- end }}
{{- with $root.Values.auth.existingSecret }}
- name: auth
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- range $name, $endpoint := $root.Values.modelEndpoints }}
{{- if and $endpoint.apiKey (has $room $endpoint.rooms) }}
- name: endpoint-{{ $name }}
  secret:
    secretName: {{ $endpoint.apiKey.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- if and (eq $room "rollout") $root.Values.vault.existingClaim }}
- name: vault
  persistentVolumeClaim:
    claimName: {{ $root.Values.vault.existingClaim }}
    readOnly: true
{{- end }}
{{- range $index, $folder := keys $service.mounts | sortAlpha }}
{{- $source := get $service.mounts $folder }}
- name: mount-{{ $index }}
  {{- if $source.configMap }}
  configMap:
    name: {{ $source.configMap }}
  {{- else if $source.secret }}
  secret:
    secretName: {{ $source.secret }}
    defaultMode: 0440
  {{- else }}
  persistentVolumeClaim:
    claimName: {{ $source.existingClaim }}
    readOnly: true
  {{- end }}
{{- end }}
{{- end -}}

{{/* How the kubelet asks a room: by gRPC, or, since it speaks no TLS there, by HTTP. Takes a
list: root, room, values, whether readiness is meant. */}}
{{- define "teachwhy.roomProbe" -}}
{{- $root := index . 0 -}}
{{- if $root.Values.tls.enabled -}}
{{- if index . 3 -}}
httpGet:
  path: /ready
  port: metrics
{{- else -}}
tcpSocket:
  port: grpc
{{- end -}}
{{- else -}}
grpc:
  port: {{ (index . 2).port }}
  service: teachwhy.{{ index . 1 }}.v1.{{ title (index . 1) }}Service
{{- end -}}
{{- end -}}
