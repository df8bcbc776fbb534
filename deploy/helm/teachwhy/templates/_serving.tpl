{{/* Pods that host checkpoints, as pipelines/cluster/predictor.py has them. */}}

{{/* Settings of our server beside the checkpoints. Takes the root. */}}
{{- define "teachwhy.servingVariables" -}}
- name: SERVING_HOST
  value: "0.0.0.0"
- name: SERVING_PORT
  value: "8080"
- name: SERVING_CACHE_FOLDER
  value: /var/cache/teachwhy
- name: SERVING_DRAIN_SECONDS
  value: "30"
{{ include "teachwhy.storageVariables" (list . "SERVING") }}
{{- range $name, $text := .Values.serving.config }}
- name: SERVING_{{ upper $name }}
  value: {{ $text | quote }}
{{- end }}
{{- end -}}

{{- define "teachwhy.servingMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.serving.placement.sharedMemory }}
- name: devshm
  mountPath: /dev/shm
{{- end }}
{{- end -}}

{{- define "teachwhy.servingVolumes" -}}
- name: tmp
  emptyDir: {}
{{- with .Values.serving.placement.sharedMemory }}
- name: devshm
  emptyDir:
    medium: Memory
    sizeLimit: {{ . }}
{{- end }}
{{- end -}}

{{- define "teachwhy.servingResources" -}}
{{- $placement := .Values.serving.placement -}}
{{- $amounts := dict "cpu" $placement.cpu "memory" $placement.memory -}}
{{- with $placement.gpus }}{{ $_ := set $amounts $placement.gpuResource (toString .) }}{{ end -}}
{{- toYaml (dict "requests" $amounts "limits" $amounts) -}}
{{- end -}}

{{- define "teachwhy.servingSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{ include "teachwhy.containerSecurity" . }}
{{- end -}}

{{/* What containers of both runtimes have. Takes a list: root, name under which the server knows
the checkpoint; empty where nobody can say. */}}
{{- define "teachwhy.servingContainer" -}}
{{- $root := index . 0 -}}
{{- $serving := $root.Values.serving -}}
resources:
  {{- include "teachwhy.servingResources" $root | nindent 2 }}
securityContext:
  {{- include "teachwhy.servingSecurity" $root | nindent 2 }}
{{- if ne $serving.mode "Knative" }}
lifecycle:
  preStop:
    exec:
      command: [sleep, "5"]
{{- end }}
readinessProbe:
  httpGet:
    path: {{ ternary (printf "/v2/models/%s/ready" (index . 1)) "/v2/health/ready" (ne (index . 1) "") }}
    port: 8080
  periodSeconds: 10
  timeoutSeconds: 10
{{- if and (ne $serving.mode "Knative") (eq $serving.runtime "teachwhy") }}
livenessProbe:
  httpGet: {path: /v2/health/live, port: 8080}
  periodSeconds: 20
  timeoutSeconds: 10
startupProbe:
  httpGet: {path: /v2/health/live, port: 8080}
  periodSeconds: 10
  failureThreshold: {{ divf $serving.readySeconds 10 | ceil | int }}
{{- end }}
{{- end -}}

{{/* Our server as a container. Takes a list: root, name of the checkpoint or empty, name it answers
to. */}}
{{- define "teachwhy.servingOwn" -}}
{{- $root := index . 0 -}}
- name: kserve-container
  image: {{ include "teachwhy.image" (list $root "serving" $root.Values.serving.digest) }}
  {{- if ne $root.Values.image.pullPolicy "IfNotPresent" }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  {{- end }}
  command: [python, -m, services.serving]
  env:
    {{- include "teachwhy.servingVariables" $root | nindent 4 }}
    {{- if index . 1 }}
    - name: SERVING_CHECKPOINTS
      value: {{ list (index . 1) | toJson | quote }}
    {{- if ne (index . 1) (index . 2) }}
    - name: SERVING_ALIASES
      value: {{ dict (index . 2) (index . 1) | toJson | quote }}
    {{- end }}
    {{- end }}
  ports:
    - {containerPort: 8080, protocol: TCP}
  {{- include "teachwhy.servingContainer" (list $root (index . 1)) | nindent 2 }}
  volumeMounts:
    {{- include "teachwhy.servingMounts" $root | nindent 4 }}
    - name: cache
      mountPath: /var/cache/teachwhy
    {{- include "teachwhy.storageMounts" $root | nindent 4 }}
{{- end -}}
