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

{{/* The groups of a file of rules, as YAML, with the values of monitoring.rules. The file is a plain
one: a threshold is the number before "# name" in an expression and after "$name :=" in a text.
Takes a list: root, path. */}}
{{- define "teachwhy.ruleGroups" -}}
{{- $root := index . 0 -}}
{{- $rules := $root.Values.monitoring.rules -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- range $name, $value := $rules.thresholds -}}
{{- $text = regexReplaceAll (printf "[0-9.]+( # %s\\b)" $name) $text (printf "%s${1}" (toJson $value)) -}}
{{- $text = regexReplaceAll (printf "([$]%s := )[0-9.]+" $name) $text (printf "${1}%s" (toJson $value)) -}}
{{- end -}}
{{- $groups := (fromYaml $text).groups -}}
{{- range $group := $groups -}}
{{- $kept := list -}}
{{- range $rule := $group.rules -}}
{{- $change := dict -}}
{{- if $rule.alert -}}
{{- $change = get $rules.alerts $rule.alert | default dict -}}
{{- $runbook := dict "runbook_url" (printf "%s/%s.md" $rules.runbookUrl $rule.alert) -}}
{{- $severity := ternary (dict "severity" $change.severity) dict (hasKey $change "severity") -}}
{{- $_ := set $rule "annotations" (merge $runbook ($rule.annotations | default dict)) -}}
{{- $_ := set $rule "labels" (merge $severity ($rule.labels | default dict) $rules.alertLabels) -}}
{{- if hasKey $change "for" -}}
{{- $_ := set $rule "for" $change.for -}}
{{- end -}}
{{- end -}}
{{- if or (not (hasKey $change "enabled")) $change.enabled -}}
{{- $kept = append $kept $rule -}}
{{- end -}}
{{- end -}}
{{- $_ := set $group "rules" $kept -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}
