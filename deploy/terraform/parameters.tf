# Written by deploy/generate.py from template.yaml. Do not edit.

variable "ingress" {
  type        = string
  default     = null
  description = "How requests reach the function - url (public function URL with bearer tokens), url-iam (function URL, requests signed with SigV4), alb (internal load balancer with bearer tokens), lattice (VPC Lattice service, signed requests), or none (scheduled runs and events only). One of url, url-iam, alb, lattice, none. Default: url."
}

variable "tokens_sha256" {
  type        = string
  default     = null
  description = "Comma-separated SHA-256 hashes of the accepted bearer tokens. If empty, no token is accepted."
}

variable "iam_callers" {
  type        = string
  default     = null
  description = "IAM roles that may send data when Ingress is url-iam or lattice. Comma-separated globs of role names of this account, or of ARNs; * allows every caller that IAM admits. Default: *."
}

variable "cors_origins" {
  type        = string
  default     = null
  description = "Origins whose pages may send OTLP from a browser when Ingress is url or alb, such as https://shop.example.com. Comma-separated; * allows every page. If empty, browsers allow no page to send."
}

variable "load_balancer_subnet_ids" {
  type        = list(string)
  default     = null
  description = "Subnets of the load balancer, in at least two zones. The tasks must reach them."
}

variable "load_balancer_security_group_ids" {
  type        = list(string)
  default     = null
  description = "Security groups of the load balancer. They must allow inbound traffic from the tasks on port 443, or on port 80 without a certificate."
}

variable "load_balancer_certificate_arn" {
  type        = string
  default     = null
  description = "Certificate of LoadBalancerDomainName, for HTTPS on port 443. If empty, the load balancer serves HTTP on port 80, and tokens are not encrypted in the VPC."
}

variable "load_balancer_domain_name" {
  type        = string
  default     = null
  description = "Domain name of the certificate, which the tasks use. Create an alias record for the load balancer with this name."
}

variable "service_network_id" {
  type        = string
  default     = null
  description = "ID or ARN of the VPC Lattice service network of the tasks, with which the service is associated. If empty, associate it yourself."
}

variable "otlp_logs" {
  type        = string
  default     = null
  description = "on creates a log group and forwards requests to /v1/logs to it. off responds to them with 404. One of off, on. Default: off."
}

variable "clusters" {
  type        = string
  default     = null
  description = "Clusters whose tasks are scraped. Comma-separated names, ARNs or globs; * selects all clusters. Default: *."
}

variable "tasks" {
  type        = string
  default     = null
  description = "Filter that selects the tasks to scrape, for example service=cart-*,!label.team=qa. If empty, all tasks are scraped."
}

variable "sources" {
  type        = string
  default     = null
  description = "Comma-separated metric sources - push (stats that tasks send), endpoint (stats endpoints in tasks), insights (Container Insights), prometheus (Prometheus endpoints in tasks). Default: push,endpoint,insights,prometheus."
}

variable "cloudwatch_interval" {
  type        = string
  default     = null
  description = "Minutes between two reads of the CPU and memory that CloudWatch has for services none of whose tasks has another source. CloudWatch charges for each read - $0.44 per month and service at 2, $0.09 at 10. With more than 1, queries and alerts need last_over_time. off reads nothing. One of off, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10. Default: 2."
}

variable "scrape_rules" {
  type        = string
  default     = null
  description = "Rules for Prometheus endpoints that no Docker label declares, for example service=cart-* port=9404 path=/metrics."
}

variable "tag_labels" {
  type        = string
  default     = null
  description = "Tags to add as labels. Comma-separated names or globs of task tags; cluster.<name> selects a cluster tag."
}

variable "stats_names" {
  type        = string
  default     = null
  description = "Names of task and container metrics - default (ecs_task_cpu_utilized), adot (with the unit suffixes that ADOT adds), or both. One of default, adot, both. Default: default."
}

variable "compat" {
  type        = string
  default     = null
  description = "Translation mode for spans and OTLP metrics. adot reproduces the output of the collector exactly; corrected fixes its known defects. One of corrected, adot. Default: corrected."
}

variable "indexed_attributes" {
  type        = string
  default     = null
  description = "Span attributes to index as searchable X-Ray annotations. Comma-separated names, or all."
}

variable "trace_destination" {
  type        = string
  default     = null
  description = "Destination of spans. xray calls PutTraceSegments; xray-otlp uses the OTLP endpoint of X-Ray, which requires Transaction Search. One of xray, xray-otlp. Default: xray."
}

variable "metrics_to" {
  type        = string
  default     = null
  description = "Destinations of metrics that applications send with OTLP. cloudwatch is the OTLP endpoint of CloudWatch. Scraped metrics go to the workspace. One of amp, cloudwatch, amp,cloudwatch. Default: amp."
}

variable "insights_cluster1" {
  type        = string
  default     = null
  description = "Name of a cluster whose Container Insights events a subscription filter sends to the function as they arrive. The log group of the cluster must exist. If any of the four parameters is set, the function polls no cluster for events."
}

variable "insights_cluster2" {
  type        = string
  default     = null
  description = "Another cluster, as in InsightsCluster1."
}

variable "insights_cluster3" {
  type        = string
  default     = null
  description = "Another cluster, as in InsightsCluster1."
}

variable "insights_cluster4" {
  type        = string
  default     = null
  description = "Another cluster, as in InsightsCluster1."
}

variable "task_state_change_events" {
  type        = string
  default     = null
  description = "on creates an EventBridge rule that reports stopped tasks, with the reason, as soon as they stop, and deployments and other events of services. off lists stopped tasks through the ECS API once a minute; events of services are only reported with on. One of off, on. Default: off."
}

variable "remote_write_url" {
  type        = string
  default     = null
  description = "Remote write URL of an existing workspace. Set it together with WorkspaceArn. If both are empty, the stack creates a workspace."
}

variable "workspace_arn" {
  type        = string
  default     = null
  description = "ARN of the workspace of RemoteWriteUrl."
}

variable "name" {
  type        = string
  default     = null
  description = "Alias of the workspace and name of its rules. If empty, the name of the stack. Set it if that is longer than 64 characters, the limit of AMP."
}

variable "amp_role_arn" {
  type        = string
  default     = null
  description = "Role that the function assumes to write metrics, for a workspace in another account. Its trust policy must allow the role of the function. If empty, the role of the function writes."
}

variable "amp_external_id" {
  type        = string
  default     = null
  description = "External ID that the trust policy of AmpRoleArn requires. If empty, none is sent."
}

variable "xray_region" {
  type        = string
  default     = null
  description = "Region of X-Ray. If empty, the region of the stack."
}

variable "xray_role_arn" {
  type        = string
  default     = null
  description = "Role that the function assumes to call X-Ray in another account. Its trust policy must allow the role of the function. If empty, the role of the function calls X-Ray."
}

variable "xray_external_id" {
  type        = string
  default     = null
  description = "External ID that the trust policy of XRayRoleArn requires. If empty, none is sent."
}

variable "load_rules" {
  type        = string
  default     = null
  description = "Whether to load the recording and alert rules of prometheus/rules.yaml into the workspace. One of on, off. Default: on."
}

variable "alert_topic_arn" {
  type        = string
  default     = null
  description = "SNS topic for the alerts of LoadRules. It applies only to a workspace that this stack creates. The topic policy must allow aps.amazonaws.com to publish. If empty, no alert manager is configured."
}

variable "architecture" {
  type        = string
  default     = null
  description = "Processor architecture of the function. The binary must be built for it. One of arm64, x86_64. Default: arm64."
}

variable "memory_size" {
  type        = number
  default     = null
  description = "Memory in MB. Lambda allocates CPU in proportion to memory; 1769 MB is equivalent to one vCPU. Default: 512."
}

variable "reserved_concurrency" {
  type        = number
  default     = null
  description = "Maximum number of concurrent invocations. It limits the cost that unauthorized requests can cause, and the ECS calls of all execution environments. The default of 10 leaves at least four for requests, each of which takes some 50 ms. Lambda also allows ten requests per second for each unit - raise it for more than 1000 tasks that push. At least 6, because the spool uses up to five and the schedule needs one. -1 reserves no concurrency, for an account whose quota is too small (AWS keeps 100 unreserved); 0 disables the function. Default: 10."
}

variable "subnet_ids" {
  type        = list(string)
  default     = null
  description = "Subnets from which the function can connect to the stats endpoints of the tasks. If empty, the function is not attached to a VPC."
}

variable "security_group_ids" {
  type        = list(string)
  default     = null
  description = "Security groups of the function. Set them together with SubnetIds. The security groups of the tasks must allow inbound traffic from them."
}

variable "ipv6" {
  type        = string
  default     = null
  description = "on lets the function in SubnetIds and the load balancer use IPv6, too. Their subnets must then have IPv6 ranges. One of off, on. Default: off."
}

variable "permissions_boundary_arn" {
  type        = string
  default     = null
  description = "Policy that limits the permissions of both roles that the stack creates. If empty, they have no boundary."
}

variable "kms_key_arn" {
  type        = string
  default     = null
  description = "Key that encrypts the environment variables, queues, log groups and the workspace. Its policy must allow CloudWatch Logs to use it. If empty, AWS owns the keys. Changing it replaces the workspace, and the old one is retained."
}

variable "log_level" {
  type        = string
  default     = null
  description = "Level of the function log. An alarm counts lines of level INFO. DEBUG adds a line for each successful request, which CloudWatch charges for. One of INFO, DEBUG. Default: INFO."
}

variable "log_retention_days" {
  type        = number
  default     = null
  description = "Retention period of the log groups, in days. One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653. Default: 14."
}

variable "alarm_topic_arn" {
  type        = string
  default     = null
  description = "ARN of the SNS topic for alarm notifications. If empty, the alarms have no action."
}

variable "settings" {
  type        = string
  default     = null
  description = "Settings of README.md that have no parameter of their own. Lines of NAME=value, or one line with a semicolon before each name, for example SIDECARLESS_DELTA=keep;SIDECARLESS_METADATA=on."
}

variable "settings_parameter" {
  type        = string
  default     = null
  description = "Name of an SSM parameter with lines as in Settings, which the function reads when it starts. It may be longer than the 4 KB that all environment variables of a function may have. If empty, none is read."
}

locals {
  # Parameters of the template. A variable that is null is omitted, so that the default of the template applies.
  parameters = {
    Ingress                      = var.ingress
    TokensSha256                 = var.tokens_sha256
    IamCallers                   = var.iam_callers
    CorsOrigins                  = var.cors_origins
    LoadBalancerSubnetIds        = var.load_balancer_subnet_ids == null ? null : join(",", var.load_balancer_subnet_ids)
    LoadBalancerSecurityGroupIds = var.load_balancer_security_group_ids == null ? null : join(",", var.load_balancer_security_group_ids)
    LoadBalancerCertificateArn   = var.load_balancer_certificate_arn
    LoadBalancerDomainName       = var.load_balancer_domain_name
    ServiceNetworkId             = var.service_network_id
    OtlpLogs                     = var.otlp_logs
    Clusters                     = var.clusters
    Tasks                        = var.tasks
    Sources                      = var.sources
    CloudWatchInterval           = var.cloudwatch_interval
    ScrapeRules                  = var.scrape_rules
    TagLabels                    = var.tag_labels
    StatsNames                   = var.stats_names
    Compat                       = var.compat
    IndexedAttributes            = var.indexed_attributes
    TraceDestination             = var.trace_destination
    MetricsTo                    = var.metrics_to
    InsightsCluster1             = var.insights_cluster1
    InsightsCluster2             = var.insights_cluster2
    InsightsCluster3             = var.insights_cluster3
    InsightsCluster4             = var.insights_cluster4
    TaskStateChangeEvents        = var.task_state_change_events
    RemoteWriteUrl               = var.remote_write_url
    WorkspaceArn                 = var.workspace_arn
    Name                         = var.name
    AmpRoleArn                   = var.amp_role_arn
    AmpExternalId                = var.amp_external_id
    XRayRegion                   = var.xray_region
    XRayRoleArn                  = var.xray_role_arn
    XRayExternalId               = var.xray_external_id
    LoadRules                    = var.load_rules
    AlertTopicArn                = var.alert_topic_arn
    Architecture                 = var.architecture
    MemorySize                   = var.memory_size
    ReservedConcurrency          = var.reserved_concurrency
    SubnetIds                    = var.subnet_ids == null ? null : join(",", var.subnet_ids)
    SecurityGroupIds             = var.security_group_ids == null ? null : join(",", var.security_group_ids)
    Ipv6                         = var.ipv6
    PermissionsBoundaryArn       = var.permissions_boundary_arn
    KmsKeyArn                    = var.kms_key_arn
    LogLevel                     = var.log_level
    LogRetentionDays             = var.log_retention_days
    AlarmTopicArn                = var.alarm_topic_arn
    Settings                     = var.settings
    SettingsParameter            = var.settings_parameter
  }
}
