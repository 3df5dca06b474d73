{{- define "logboom.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "logboom.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "logboom.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "logboom.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "logboom.selector" -}}
app.kubernetes.io/name: {{ include "logboom.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "logboom.labels" -}}
{{ include "logboom.selector" . }}
app.kubernetes.io/component: {{ .Values.mode }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "logboom.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "logboom.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "logboom.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The configuration in effect, as YAML: probes need the admin port beyond loopback. */}}
{{- define "logboom.config" -}}
{{- $config := .Values.config }}
{{- if not $config }}
{{- $config = .Files.Get (printf "files/%s.yaml" .Values.mode) | fromYaml }}
{{- end }}
{{- if not (hasKey $config "admin") }}
{{- $config = merge (dict "admin" (dict "listen" "0.0.0.0:9464" "allow_plaintext" true)) $config }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{- define "logboom.adminPort" -}}
{{- $config := include "logboom.config" . | fromYaml }}
{{- $listen := default "127.0.0.1:9464" $config.admin.listen }}
{{- $port := regexFind "[0-9]+$" $listen }}
{{- if not $port }}
{{- fail "config.admin.listen: the probes need it; write 0.0.0.0:9464" }}
{{- end }}
{{- if or (hasPrefix "127." $listen) (hasPrefix "localhost" $listen) (hasPrefix "[::1]" $listen) }}
{{- fail (printf "config.admin.listen: %s cannot be reached by the kubelet's probes; write 0.0.0.0:%s" $listen $port) }}
{{- end }}
{{- $port }}
{{- end }}

{{/* Ports of all sources: a YAML list of {name, port, appProtocol}. Unix sockets and inherited ones have none. */}}
{{- define "logboom.ports" -}}
{{- $config := include "logboom.config" . | fromYaml }}
{{- $ports := list }}
{{- range $name, $source := $config.sources }}
{{- $addresses := dict "lines" $source.listen "grpc" $source.grpc "http" $source.http }}
{{- range $protocol, $address := $addresses }}
{{- if and $address (regexMatch ":[0-9]+$" $address) }}
{{- if or (hasPrefix "127." $address) (hasPrefix "localhost" $address) (hasPrefix "[::1]" $address) }}
{{- fail (printf "config.sources.%s: %s cannot be reached from other pods; write 0.0.0.0" $name $address) }}
{{- end }}
{{- $port := regexFind "[0-9]+$" $address | int }}
{{- $app := get (dict "lines" "tcp" "grpc" "kubernetes.io/h2c" "http" "http") $protocol }}
{{- $ports = append $ports (dict "name" (printf "%s-%d" $protocol $port) "port" $port "appProtocol" $app) }}
{{- end }}
{{- end }}
{{- end }}
{{- if not $ports }}
{{- fail "config.sources: there is none that listens on a port" }}
{{- end }}
{{- toYaml $ports }}
{{- end }}

{{- define "logboom.checkGrace" -}}
{{- $config := include "logboom.config" . | fromYaml }}
{{- $grace := dig "shutdown" "grace" "8s" $config }}
{{- if regexMatch "^[0-9]+s$" $grace }}
{{- $needed := add (trimSuffix "s" $grace | int) .Values.preStopSeconds 2 }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) }}
{{- fail (printf "terminationGracePeriodSeconds: %d is less than preStopSeconds (%d), shutdown.grace (%s) and 2s: write %d" (int .Values.terminationGracePeriodSeconds) (int .Values.preStopSeconds) $grace (int $needed)) }}
{{- end }}
{{- end }}
{{- end }}

{{/* What the pods of both modes have in common. */}}
{{- define "logboom.pod" -}}
{{- include "logboom.checkGrace" . }}
{{- $daemonset := eq .Values.mode "daemonset" }}
metadata:
  labels:
    # Without the version of the chart: another chart with the same pod is no reason to replace it.
    {{- include "logboom.selector" . | nindent 4 }}
    app.kubernetes.io/component: {{ .Values.mode }}
    # No proxy here: it would log what logboom sends, to logboom.
    kuma.io/sidecar-injection: disabled
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "logboom.config" . | sha256sum }}
    {{- if not .Values.serviceMonitor.enabled }}
    prometheus.io/scrape: "true"
    prometheus.io/port: {{ include "logboom.adminPort" . | quote }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "logboom.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.tolerations }}
  tolerations:
    {{- toYaml .Values.tolerations | nindent 4 }}
  {{- else if $daemonset }}
  tolerations:
    - operator: Exists
  {{- end }}
  {{- if .Values.affinity }}
  affinity:
    {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if not $daemonset }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels:
                {{- include "logboom.selector" . | nindent 16 }}
  {{- end }}
  securityContext:
    {{- if or (not $daemonset) (not .Values.persistence.enabled) }}
    runAsNonRoot: true
    {{- end }}
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if and $daemonset .Values.persistence.enabled }}
  initContainers:
    # A hostPath belongs to root; logboom runs as 65532.
    - name: own-directory
      image: {{ .Values.ownDirectory.image }}
      command: [sh, -c, "chown 65532:65532 /var/log/logboom /var/lib/logboom && chmod 750 /var/log/logboom && chmod 700 /var/lib/logboom"]
      resources:
        requests: {cpu: 10m, memory: 8Mi}
        limits: {memory: 32Mi}
      securityContext:
        runAsUser: 0
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL], add: [CHOWN, FOWNER]}
      volumeMounts:
        - {name: logs, mountPath: /var/log/logboom}
        - {name: journal, mountPath: /var/lib/logboom}
  {{- end }}
  containers:
    - name: logboom
      image: {{ include "logboom.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [run, -c, /etc/logboom/logboom.yaml]
      {{- with .Values.env }}
      env:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        {{- range include "logboom.ports" . | fromYamlArray }}
        - name: {{ .name }}
          containerPort: {{ .port }}
          {{- if and $daemonset $.Values.hostPorts }}
          hostPort: {{ .port }}
          {{- end }}
        {{- end }}
        - name: admin
          containerPort: {{ include "logboom.adminPort" . }}
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 1
        # A long journal is read before the ports are opened.
        failureThreshold: 120
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 5
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        failureThreshold: 6
      {{- if .Values.preStopSeconds }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ .Values.preStopSeconds }}}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/logboom, readOnly: true}
        - {name: run, mountPath: /run/logboom}
        - {name: journal, mountPath: /var/lib/logboom}
        - {name: logs, mountPath: /var/log/logboom}
        {{- range .Values.secretMounts }}
        - {name: {{ printf "secret-%s" .name }}, mountPath: {{ .mountPath }}, readOnly: true}
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "logboom.fullname" . }}}
    - name: run
      emptyDir: {medium: Memory, sizeLimit: 1Mi}
    {{- if and $daemonset .Values.persistence.enabled }}
    - name: logs
      hostPath: {path: {{ .Values.persistence.logsHostPath }}, type: DirectoryOrCreate}
    - name: journal
      hostPath: {path: {{ .Values.persistence.journalHostPath }}, type: DirectoryOrCreate}
    {{- else }}
    - name: logs
      emptyDir: {}
    {{- if not .Values.persistence.enabled }}
    - name: journal
      emptyDir: {}
    {{- end }}
    {{- end }}
    {{- range .Values.secretMounts }}
    - name: {{ printf "secret-%s" .name }}
      secret:
        secretName: {{ .secretName }}
        defaultMode: 0440
        {{- with .optional }}
        optional: {{ . }}
        {{- end }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
