{{/* What every pod has: nobody's user, no privilege, no token unless it asks for one. */}}

{{- define "teachwhy.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "teachwhy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "teachwhy.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where pods may run. Takes the values of a component. */}}
{{- define "teachwhy.placement" -}}
{{- $placed := dict -}}
{{- with .nodeSelector }}{{ $_ := set $placed "nodeSelector" . }}{{ end -}}
{{- with .tolerations }}{{ $_ := set $placed "tolerations" . }}{{ end -}}
{{- with .priorityClassName }}{{ $_ := set $placed "priorityClassName" . }}{{ end -}}
{{- if $placed }}{{ toYaml $placed }}{{ end -}}
{{- end -}}
