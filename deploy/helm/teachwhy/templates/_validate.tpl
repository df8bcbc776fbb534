{{/* What the schema cannot say: values that do not fit each other. */}}

{{- define "teachwhy.validate" -}}
{{- include "teachwhy.validateStorage" . -}}
{{- include "teachwhy.validateRooms" . -}}
{{- include "teachwhy.validateRuns" . -}}
{{- end -}}

{{- define "teachwhy.validateStorage" -}}
{{- $values := .Values -}}
{{- if and (not $values.storage.endpoint) (not $values.minio.enabled) -}}
{{- fail "storage.endpoint: give an S3 endpoint, or set minio.enabled=true for a trial" -}}
{{- end -}}
{{- if and $values.storage.endpoint (not $values.storage.existingSecret) -}}
{{- fail "storage.existingSecret: name the secret with access_key and secret_key of storage.endpoint" -}}
{{- end -}}
{{- if and $values.storage.endpoint $values.minio.enabled -}}
{{- fail "minio.enabled: storage.endpoint is set; use one of both" -}}
{{- end -}}
{{- if and $values.minio.enabled $values.storage.existingSecret -}}
{{- fail "storage.existingSecret: the chart's MinIO makes its own; leave it empty" -}}
{{- end -}}
{{- if and $values.minio.enabled $values.storage.caSecret -}}
{{- fail "storage.caSecret: the chart's MinIO speaks no TLS; leave it empty" -}}
{{- end -}}
{{- end -}}

{{- define "teachwhy.validateRooms" -}}
{{- $values := .Values -}}
{{- if and $values.tls.enabled (not $values.tls.existingSecret) (not $values.tls.certManager.enabled) -}}
{{- fail "tls.existingSecret: tls.enabled needs it, or tls.certManager.enabled=true" -}}
{{- end -}}
{{- if and $values.tls.existingSecret $values.tls.certManager.enabled -}}
{{- fail "tls.certManager.enabled: tls.existingSecret is set; use one of both" -}}
{{- end -}}
{{- if and (not $values.tls.enabled) (or $values.tls.existingSecret $values.tls.certManager.enabled $values.tls.clientCertificates) -}}
{{- fail "tls.enabled: is false, so rooms would speak plain text although the rest of tls is set" -}}
{{- end -}}
{{- if and $values.tls.certManager.enabled (not $values.tls.certManager.issuerRef.name) -}}
{{- fail "tls.certManager.issuerRef.name: name the issuer of the rooms' certificate" -}}
{{- end -}}
{{- range $room := keys $values.services | sortAlpha -}}
{{- $service := fromYaml (include "teachwhy.service" (list $ $room)) -}}
{{- $scaling := $service.autoscaling -}}
{{- $least := ternary (int $service.replicas) (int $scaling.minReplicas) (eq $scaling.kind "none") -}}
{{- if and (eq $scaling.kind "keda") (not $scaling.prometheusAddress) -}}
{{- fail (printf "services.%s.autoscaling.prometheusAddress: keda scales by what Prometheus knows" $room) -}}
{{- end -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "services.%s.autoscaling.minReplicas: must not be above maxReplicas" $room) -}}
{{- end -}}
{{- if and (gt $least 1) (ge (int $service.podDisruptionBudget.minAvailable) $least) -}}
{{- fail (printf "services.%s.podDisruptionBudget.minAvailable: must be below the number of pods (%d), or no node can be drained" $room $least) -}}
{{- end -}}
{{- range $folder, $source := $service.mounts -}}
{{- if and $source.existingClaim (eq $source.existingClaim $values.vault.existingClaim) -}}
{{- fail (printf "services.%s.mounts: %s is vault.existingClaim, which rollout alone may read" $room $source.existingClaim) -}}
{{- end -}}
{{- end -}}
{{- if and $values.runner.enabled (not $service.enabled) -}}
{{- fail (printf "services.%s.enabled: the runner asks all rooms; set runner.enabled=false to leave one out" $room) -}}
{{- end -}}
{{- end -}}
{{- range $name, $endpoint := $values.modelEndpoints -}}
{{- if and (eq $name "default") (has "rollout" $endpoint.rooms) -}}
{{- fail "modelEndpoints.default: rollout asks hosted checkpoints under this name; choose another" -}}
{{- end -}}
{{- range $room := $endpoint.rooms -}}
{{- $service := fromYaml (include "teachwhy.service" (list $ $room)) -}}
{{- if not (has "models" $service.allowTo) -}}
{{- fail (printf "services.%s.allowTo: needs \"models\", since modelEndpoints.%s names the room" $room $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "teachwhy.validateRuns" -}}
{{- $values := .Values -}}
{{- $training := $values.training -}}
{{- $most := ternary $training.elastic.maxNodes $training.nodes $training.elastic.enabled | int -}}
{{- if and (gt $most 1) (not $training.volumeClaim) -}}
{{- fail "training.volumeClaim: a training on several nodes needs a ReadWriteMany volume" -}}
{{- end -}}
{{- if gt (int $training.elastic.minNodes) (int $training.elastic.maxNodes) -}}
{{- fail "training.elastic.minNodes: must not be above maxNodes" -}}
{{- end -}}
{{- if and (eq $values.serving.runtime "huggingface") (not $values.minio.enabled) (not $values.serving.existingServiceAccount) -}}
{{- fail "serving.existingServiceAccount: name the account whose secret lets KServe read storage.endpoint; README.md shows both" -}}
{{- end -}}
{{- if and $values.nightly.enabled (not $values.nightly.experiment) -}}
{{- fail "nightly.experiment: give the text of the experiment file, for example with --set-file" -}}
{{- end -}}
{{- if and $values.nightly.enabled (not $values.runner.enabled) -}}
{{- fail "runner.enabled: the nightly evaluation runs with the runner's account" -}}
{{- end -}}
{{- end -}}
