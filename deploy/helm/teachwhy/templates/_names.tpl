{{/* Names of objects. Every name begins with the release's, and stays below 63 characters. */}}

{{- define "teachwhy.name" -}}
{{- $base := ternary .Release.Name (printf "%s-teachwhy" .Release.Name) (contains "teachwhy" .Release.Name) -}}
{{- $base | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of a component's objects. Takes a list: root, component. */}}
{{- define "teachwhy.componentName" -}}
{{- printf "%s-%s" (include "teachwhy.name" (index . 0)) (index . 1) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Image of a component. Takes a list: root, component, digest. */}}
{{- define "teachwhy.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- $name := printf "%s/%s" $image.repository (index . 1) -}}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end -}}
{{- if index . 2 -}}
{{- printf "%s@%s" $name (index . 2) -}}
{{- else -}}
{{- printf "%s:%s" $name (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "teachwhy.storageEndpoint" -}}
{{- if .Values.storage.endpoint -}}
{{- .Values.storage.endpoint -}}
{{- else -}}
{{- printf "%s.%s.svc:9000" (include "teachwhy.componentName" (list . "minio")) .Release.Namespace -}}
{{- end -}}
{{- end -}}

{{- define "teachwhy.storageSecure" -}}
{{- if .Values.storage.endpoint }}{{ .Values.storage.secure }}{{ else }}false{{ end -}}
{{- end -}}

{{/* Port at which storage listens, as policies see it. */}}
{{- define "teachwhy.storagePort" -}}
{{- $parts := splitList ":" .Values.storage.endpoint -}}
{{- if .Values.storage.port -}}
{{- .Values.storage.port -}}
{{- else if gt (len $parts) 1 -}}
{{- last $parts -}}
{{- else -}}
{{- ternary 443 80 .Values.storage.secure -}}
{{- end -}}
{{- end -}}

{{- define "teachwhy.storageSecret" -}}
{{- default (include "teachwhy.componentName" (list . "minio")) .Values.storage.existingSecret -}}
{{- end -}}

{{- define "teachwhy.tlsSecret" -}}
{{- default (include "teachwhy.componentName" (list . "tls")) .Values.tls.existingSecret -}}
{{- end -}}

{{- define "teachwhy.servingAccount" -}}
{{- default (include "teachwhy.componentName" (list . "serving")) .Values.serving.existingServiceAccount -}}
{{- end -}}

{{/* Address of a room as "host:port". Takes a list: root, room. */}}
{{- define "teachwhy.roomAddress" -}}
{{- $root := index . 0 -}}
{{- $service := fromYaml (include "teachwhy.service" .) -}}
{{- printf "%s.%s.svc:%d" (include "teachwhy.componentName" .) $root.Release.Namespace (int $service.port) -}}
{{- end -}}

{{/* A room's values over the defaults, as YAML. Takes a list: root, room. */}}
{{- define "teachwhy.service" -}}
{{- $root := index . 0 -}}
{{- mergeOverwrite (deepCopy $root.Values.serviceDefaults) (deepCopy (index $root.Values.services (index . 1))) | toYaml -}}
{{- end -}}
