{{/* Labels of a component: (dict "root" $ "name" "keeper"). */}}
{{- define "apocryph.selector" -}}
app.kubernetes.io/name: apocryph
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "apocryph.labels" -}}
{{ include "apocryph.selector" . }}
app.kubernetes.io/part-of: apocryph
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "apocryph.meta" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "apocryph.labels" . | nindent 2 }}
{{- end -}}

{{/* The one container of a component's pod: (dict "root" $ "name" … "args" (list …) "ports" (dict name number) "mounts" (list …)). */}}
{{- define "apocryph.container" -}}
name: {{ .name }}
image: {{ required "image is needed, with its digest" .root.Values.image | quote }}
imagePullPolicy: {{ .root.Values.imagePullPolicy }}
args:
  - {{ .name }}
  {{- range .args }}
  - {{ . | quote }}
  {{- end }}
{{- with .env }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- $health := "{path: /healthz, port: metrics}" }}
{{- if .loopback }}
{{- /* On the machine's network: the port is the machine's, and nobody else's to reach. */}}
{{- $health = printf "{host: 127.0.0.1, path: /healthz, port: %d}" (int .loopback) }}
{{- else }}
ports:
  - {name: metrics, containerPort: 9090}
  {{- range $name, $port := .ports }}
  - {name: {{ $name }}, containerPort: {{ $port }}}
  {{- end }}
  {{- with .extraPorts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
livenessProbe:
  httpGet: {{ $health }}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {{ $health }}
  periodSeconds: 5
startupProbe:
  httpGet: {{ $health }}
  periodSeconds: 1
  failureThreshold: 120
resources:
  {{- with index .root.Values .name "resources" }}
  requests: {cpu: {{ .cpu }}, memory: {{ .memory }}, ephemeral-storage: 16Mi}
  limits: {memory: {{ .memory }}, ephemeral-storage: 64Mi}
  {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]{{ with .capability }}, add: [{{ . }}]{{ end }}}
terminationMessagePolicy: FallbackToLogsOnError
{{- with .mounts }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What a pod is to know of itself, as environment. */}}
{{- define "apocryph.itself" -}}
- {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
{{- end -}}

{{/* What every pod has. */}}
{{- define "apocryph.pod" -}}
serviceAccountName: {{ .name }}
enableServiceLinks: false
securityContext:
  {{- if .rootUser }}
  # It owns its directory on the machine, and nothing else follows from the number: what capabilities it has its container says.
  runAsUser: 0
  runAsGroup: 0
  {{- else }}
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
terminationGracePeriodSeconds: 15
containers:
  - {{- include "apocryph.container" . | nindent 4 }}
{{- with .volumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A component's Deployment: one replica, never two at once, because each is the only writer of its part of App and Usage. */}}
{{- define "apocryph.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "apocryph.meta" . | nindent 2 }}
spec:
  replicas: 1
  revisionHistoryLimit: 2
  strategy:
    {{- if .rolling }}
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    {{- else }}
    type: Recreate
    {{- end }}
  selector:
    matchLabels:
      {{- include "apocryph.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "apocryph.labels" . | nindent 8 }}
    spec:
      {{- include "apocryph.pod" . | nindent 6 }}
{{- end -}}

{{/* The chain's ports, from its URLs, as YAML of a list. */}}
{{- define "apocryph.chainPorts" -}}
{{- $ports := list -}}
{{- range (.Values.chain.rpc | kindIs "string" | ternary (list .Values.chain.rpc) .Values.chain.rpc) -}}
{{- $url := urlParse . -}}
{{- $port := last (splitList ":" $url.host) -}}
{{- if not (regexMatch "^[0-9]+$" $port) -}}{{- $port = ternary "443" "80" (has $url.scheme (list "https" "wss")) -}}{{- end -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{ $ports | uniq | toYaml }}
{{- end -}}

{{/* Where the chain is reached, and how sure one wants to be of what is read there, as arguments. */}}
{{- define "apocryph.endpoints" -}}
{{- $rpc := required "chain.rpc is needed" .Values.chain.rpc -}}
{{- range (kindIs "string" $rpc | ternary (list $rpc) $rpc) }}
- --rpc={{ . }}
{{- end }}
- --confirmations={{ int64 .Values.chain.confirmations }}
- --final-after={{ int64 .Values.chain.finalAfter }}
- --max-lag={{ int64 .Values.chain.maxLag }}
{{- end -}}

{{/* What gateway and keeper must agree on, as arguments: the chain, the provider, the tariff. */}}
{{- define "apocryph.offer" -}}
- --chain-id={{ int64 .Values.chain.id }}
- --channels={{ required "chain.channels is needed" .Values.chain.channels }}
- --token-address={{ required "chain.token is needed" .Values.chain.token }}
- --provider={{ required "provider.address is needed" .Values.provider.address }}
- --payout={{ .Values.provider.payout | default .Values.provider.address }}
- --price-cpu-hour={{ int64 .Values.prices.cpuHour }}
- --price-memory-gib-hour={{ int64 .Values.prices.memoryGibHour }}
- --price-ephemeral-gib-hour={{ int64 .Values.prices.ephemeralGibHour }}
- --price-storage-gib-hour={{ int64 .Values.prices.storageGibHour }}
- --price-egress-gib={{ int64 .Values.prices.egressGib }}
{{- range $resource, $price := .Values.prices.perUnitHour }}
- --price-unit-hour={{ $resource }}={{ int64 $price }}
{{- end }}
{{- end -}}
