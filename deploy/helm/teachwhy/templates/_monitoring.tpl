{{/* Whether objects of a group are made: the value monitoring.renderMode decides about those that the
cluster does not know. Takes a list: root, group and version. */}}
{{- define "teachwhy.isKnown" -}}
{{- $root := index . 0 -}}
{{- $mode := $root.Values.monitoring.renderMode -}}
{{- if or (eq $mode "alwaysRender") ($root.Capabilities.APIVersions.Has (index . 1)) -}}
yes
{{- else if eq $mode "failIfMissing" -}}
{{- fail (printf "monitoring.renderMode: the cluster does not know %s; install its operator, or set skipIfMissing" (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* Labels of monitors and rules. Takes the root. */}}
{{- define "teachwhy.monitorLabels" -}}
{{- include "teachwhy.labels" (list . "monitoring") }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
