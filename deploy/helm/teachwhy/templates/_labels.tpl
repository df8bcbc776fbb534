{{/* Labels of an object. Takes a list: root, component. */}}
{{- define "teachwhy.labels" -}}
{{ include "teachwhy.selector" . }}
{{- $root := index . 0 }}
app.kubernetes.io/part-of: teachwhy
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{/* What a component's pods are found by; it never changes. Takes a list: root, component. */}}
{{- define "teachwhy.selector" -}}
app.kubernetes.io/name: teachwhy
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}
