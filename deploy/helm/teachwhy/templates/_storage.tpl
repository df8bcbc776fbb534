{{/* The object store as a process is told of it. */}}

{{/* Variables. Takes a list: root, prefix of the variables. */}}
{{- define "teachwhy.storageVariables" -}}
{{- $root := index . 0 -}}
{{- $prefix := index . 1 -}}
- name: {{ $prefix }}_STORE__KIND
  value: s3
- name: {{ $prefix }}_STORE__ENDPOINT
  value: {{ include "teachwhy.storageEndpoint" $root | quote }}
- name: {{ $prefix }}_STORE__BUCKET
  value: {{ $root.Values.storage.bucket | quote }}
- name: {{ $prefix }}_STORE__REGION
  value: {{ $root.Values.storage.region | quote }}
- name: {{ $prefix }}_STORE__SECURE
  value: {{ include "teachwhy.storageSecure" $root | quote }}
- name: {{ $prefix }}_STORE__ACCESS_KEY_FILE
  value: /run/secrets/teachwhy/store/access_key
- name: {{ $prefix }}_STORE__SECRET_KEY_FILE
  value: /run/secrets/teachwhy/store/secret_key
{{- if $root.Values.storage.caSecret }}
- name: {{ $prefix }}_STORE__CA_FILE
  value: /run/secrets/teachwhy/store-ca/ca.crt
{{- end }}
{{- end -}}

{{- define "teachwhy.storageMounts" -}}
- name: store
  mountPath: /run/secrets/teachwhy/store
  readOnly: true
{{- if .Values.storage.caSecret }}
- name: store-ca
  mountPath: /run/secrets/teachwhy/store-ca
  readOnly: true
{{- end }}
{{- end -}}

{{- define "teachwhy.storageVolumes" -}}
- name: store
  secret:
    secretName: {{ include "teachwhy.storageSecret" . }}
    defaultMode: 0440
{{- with .Values.storage.caSecret }}
- name: store-ca
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- end -}}
