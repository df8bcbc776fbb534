{{/* What a process of the command line is told and given, as pipelines/cluster/runner_pod.py has it.
Each takes the root. */}}

{{- define "teachwhy.runnerVariables" -}}
{{- $settings := dict "PIPELINES_RUNS_FOLDER" "/tmp/runs" "HOME" "/tmp" -}}
{{- range $each := fromYamlArray (include "teachwhy.storageVariables" (list . "PIPELINES")) -}}
{{- $_ := set $settings $each.name (toString $each.value) -}}
{{- end -}}
{{- $variables := list -}}
{{- range $name, $value := merge (fromYaml (include "teachwhy.runnerSettings" .)) $settings -}}
{{- $variables = append $variables (dict "name" $name "value" $value) -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{/* Secrets by folder, storage's among them, as YAML. */}}
{{- define "teachwhy.runnerFolders" -}}
{{- $folders := fromYaml (include "teachwhy.runnerSecrets" .) -}}
{{- $_ := set $folders "/run/secrets/teachwhy/store" (include "teachwhy.storageSecret" .) -}}
{{- with .Values.storage.caSecret }}{{ $_ := set $folders "/run/secrets/teachwhy/store-ca" . }}{{ end -}}
{{- toYaml $folders -}}
{{- end -}}

{{- define "teachwhy.runnerMounts" -}}
{{- $folders := fromYaml (include "teachwhy.runnerFolders" .) -}}
{{- $mounts := list -}}
{{- range $number, $folder := keys $folders | sortAlpha -}}
{{- $mounts = append $mounts (dict "name" (printf "secret-%d" $number) "mountPath" $folder "readOnly" true) -}}
{{- end -}}
{{- toYaml $mounts -}}
{{- end -}}

{{- define "teachwhy.runnerVolumes" -}}
{{- $folders := fromYaml (include "teachwhy.runnerFolders" .) -}}
{{- $volumes := list -}}
{{- range $number, $folder := keys $folders | sortAlpha -}}
{{- $volumes = append $volumes (dict "name" (printf "secret-%d" $number) "secret" (dict "secretName" (index $folders $folder))) -}}
{{- end -}}
{{- toYaml $volumes -}}
{{- end -}}
