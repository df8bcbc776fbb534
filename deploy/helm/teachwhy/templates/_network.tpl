{{/* Parts of network policies. */}}

{{/* A peer: pods of a room or of MinIO, of this release. Takes a list: root, component. "runner"
are all pods that carry out steps, and further clients: runs and schedules make some of them, which
bear no release's name. */}}
{{- define "teachwhy.peer" -}}
{{- if eq (index . 1) "runner" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: teachwhy
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: [runner, schedule]}
{{- with (index . 0).Values.networkPolicy.clientPodLabels }}
- podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
{{- end }}
{{- else -}}
- podSelector:
    matchLabels:
      {{- include "teachwhy.selector" . | nindent 6 }}
{{- end -}}
{{- end -}}

{{/* Pods that runs make for a component, and those of this chart. Takes a component. */}}
{{- define "teachwhy.madeByRuns" -}}
app.kubernetes.io/name: teachwhy
app.kubernetes.io/component: {{ . }}
{{- end -}}

{{/* Peers: all pods of namespaces. Takes their names. */}}
{{- define "teachwhy.namespaces" -}}
- namespaceSelector:
    matchExpressions:
      - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
{{- end -}}

{{/* To the cluster's name service. */}}
{{- define "teachwhy.toNames" -}}
{{- $names := .Values.networkPolicy.names -}}
- to:
    {{- include "teachwhy.namespaces" $names.namespaces | nindent 4 }}
    {{- range $names.cidrs }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  ports:
    {{- range $names.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end -}}

{{/* To blocks of addresses, or anywhere. Takes a list: blocks, ports. */}}
{{- define "teachwhy.toAddresses" -}}
- ports:
    {{- range index . 1 }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with index . 0 }}
  to:
    {{- range . }}
    - ipBlock: {cidr: {{ . | quote }}}
    {{- end }}
  {{- end }}
{{- end -}}

{{- define "teachwhy.toStorage" -}}
{{- if .Values.storage.endpoint -}}
{{ include "teachwhy.toAddresses" (list .Values.storage.cidrs (list (include "teachwhy.storagePort" .))) }}
{{- else -}}
- to:
    {{- include "teachwhy.peer" (list . "minio") | nindent 4 }}
  ports:
    - {protocol: TCP, port: 9000}
{{- end -}}
{{- end -}}

{{/* Ports of pods that host checkpoints: the server's, and in Knative its proxy's. */}}
{{- define "teachwhy.checkpointPorts" -}}
- {protocol: TCP, port: 8080}
{{- if eq .Values.serving.mode "Knative" }}
- {protocol: TCP, port: 8012}
- {protocol: TCP, port: 8013}
- {protocol: TCP, port: 8112}
{{- end }}
{{- end -}}

{{/* Namespaces that lead requests to hosted checkpoints, as JSON. */}}
{{- define "teachwhy.gatewayNamespaces" -}}
{{- $found := .Values.networkPolicy.gatewayNamespaces -}}
{{- with .Values.serving.gateway }}{{ $found = append $found (splitList "/" . | first) }}{{ end -}}
{{- if eq .Values.serving.mode "Knative" }}{{ $found = append $found "knative-serving" }}{{ end -}}
{{- $found | uniq | sortAlpha | toJson -}}
{{- end -}}

{{/* To hosted checkpoints, whoever made them: their pods, and in Knative the gateways before them;
where the address lies outside the cluster, to where models are. */}}
{{- define "teachwhy.toCheckpoints" -}}
{{- $policy := .Values.networkPolicy -}}
{{- if contains ".svc" .Values.serving.url -}}
- to:
    - podSelector:
        matchExpressions:
          - {key: serving.kserve.io/inferenceservice, operator: Exists}
  ports:
    {{- include "teachwhy.checkpointPorts" . | nindent 4 }}
{{- if eq .Values.serving.mode "Knative" }}
- to:
    {{- include "teachwhy.namespaces" (fromJsonArray (include "teachwhy.gatewayNamespaces" .)) | nindent 4 }}
{{- end }}
{{- else -}}
{{ include "teachwhy.toAddresses" (list $policy.modelCidrs $policy.modelPorts) }}
{{- end -}}
{{- end -}}

{{/* To a room. Takes a list: root, room. */}}
{{- define "teachwhy.toRoom" -}}
{{- $service := fromYaml (include "teachwhy.service" .) -}}
- to:
    {{- include "teachwhy.peer" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ $service.port }}}
{{- end -}}

{{/* From the namespaces of Prometheus to a port of metrics. Takes a list: root, port. */}}
{{- define "teachwhy.fromMonitoring" -}}
- from:
    {{- include "teachwhy.namespaces" (index . 0).Values.networkPolicy.monitoringNamespaces | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ index . 1 }}}
{{- end -}}

{{/* Whether a room is given a host of `modelEndpoints`. Takes a list: root, room. */}}
{{- define "teachwhy.asksModels" -}}
{{- $room := index . 1 -}}
{{- range (index . 0).Values.modelEndpoints -}}
{{- if has $room .rooms }}yes{{ end -}}
{{- end -}}
{{- end -}}
