// Written by deploy/generate.py from template.yaml. Do not edit.

/** Parameters of the template. The defaults are those of the template. */
export interface SidecarlessParameters {
  /**
   * How requests reach the function - url (public function URL with bearer tokens), url-iam (function URL, requests
   * signed with SigV4), alb (internal load balancer with bearer tokens), lattice (VPC Lattice service, signed
   * requests), or none (scheduled runs and events only). One of url, url-iam, alb, lattice, none. Default: url.
   */
  readonly ingress?: "url" | "url-iam" | "alb" | "lattice" | "none";
  /**
   * Comma-separated SHA-256 hashes of the accepted bearer tokens. If empty, no token is accepted.
   */
  readonly tokensSha256?: string;
  /**
   * IAM roles that may send data when Ingress is url-iam or lattice. Comma-separated globs of role names of this
   * account, or of ARNs; * allows every caller that IAM admits. Default: *.
   */
  readonly iamCallers?: string;
  /**
   * Origins whose pages may send OTLP from a browser when Ingress is url or alb, such as https://shop.example.com.
   * Comma-separated; * allows every page. If empty, browsers allow no page to send.
   */
  readonly corsOrigins?: string;
  /**
   * Subnets of the load balancer, in at least two zones. The tasks must reach them.
   */
  readonly loadBalancerSubnetIds?: string[];
  /**
   * Security groups of the load balancer. They must allow inbound traffic from the tasks on port 443, or on port 80
   * without a certificate.
   */
  readonly loadBalancerSecurityGroupIds?: string[];
  /**
   * Certificate of LoadBalancerDomainName, for HTTPS on port 443. If empty, the load balancer serves HTTP on port 80,
   * and tokens are not encrypted in the VPC.
   */
  readonly loadBalancerCertificateArn?: string;
  /**
   * Domain name of the certificate, which the tasks use. Create an alias record for the load balancer with this name.
   */
  readonly loadBalancerDomainName?: string;
  /**
   * ID or ARN of the VPC Lattice service network of the tasks, with which the service is associated. If empty,
   * associate it yourself.
   */
  readonly serviceNetworkId?: string;
  /**
   * on creates a log group and forwards requests to /v1/logs to it. off responds to them with 404. One of off, on.
   * Default: off.
   */
  readonly otlpLogs?: "off" | "on";
  /**
   * Clusters whose tasks are scraped. Comma-separated names, ARNs or globs; * selects all clusters. Default: *.
   */
  readonly clusters?: string;
  /**
   * Filter that selects the tasks to scrape, for example service=cart-*,!label.team=qa. If empty, all tasks are
   * scraped.
   */
  readonly tasks?: string;
  /**
   * Comma-separated metric sources - push (stats that tasks send), endpoint (stats endpoints in tasks), insights
   * (Container Insights), prometheus (Prometheus endpoints in tasks). Default: push,endpoint,insights,prometheus.
   */
  readonly sources?: string;
  /**
   * Minutes between two reads of the CPU and memory that CloudWatch has for services none of whose tasks has another
   * source. CloudWatch charges for each read - $0.44 per month and service at 2, $0.09 at 10. With more than 1, queries
   * and alerts need last_over_time. off reads nothing. One of off, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10. Default: 2.
   */
  readonly cloudwatchInterval?: "off" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "10";
  /**
   * Rules for Prometheus endpoints that no Docker label declares, for example service=cart-* port=9404 path=/metrics.
   */
  readonly scrapeRules?: string;
  /**
   * Tags to add as labels. Comma-separated names or globs of task tags; cluster.<name> selects a cluster tag.
   */
  readonly tagLabels?: string;
  /**
   * Names of task and container metrics - default (ecs_task_cpu_utilized), adot (with the unit suffixes that ADOT
   * adds), or both. One of default, adot, both. Default: default.
   */
  readonly statsNames?: "default" | "adot" | "both";
  /**
   * Translation mode for spans and OTLP metrics. adot reproduces the output of the collector exactly; corrected fixes
   * its known defects. One of corrected, adot. Default: corrected.
   */
  readonly compat?: "corrected" | "adot";
  /**
   * Span attributes to index as searchable X-Ray annotations. Comma-separated names, or all.
   */
  readonly indexedAttributes?: string;
  /**
   * Destination of spans. xray calls PutTraceSegments; xray-otlp uses the OTLP endpoint of X-Ray, which requires
   * Transaction Search. One of xray, xray-otlp. Default: xray.
   */
  readonly traceDestination?: "xray" | "xray-otlp";
  /**
   * Destinations of metrics that applications send with OTLP. cloudwatch is the OTLP endpoint of CloudWatch. Scraped
   * metrics go to the workspace. One of amp, cloudwatch, amp,cloudwatch. Default: amp.
   */
  readonly metricsTo?: "amp" | "cloudwatch" | "amp,cloudwatch";
  /**
   * Name of a cluster whose Container Insights events a subscription filter sends to the function as they arrive. The
   * log group of the cluster must exist. If any of the four parameters is set, the function polls no cluster for
   * events.
   */
  readonly insightsCluster1?: string;
  /**
   * Another cluster, as in InsightsCluster1.
   */
  readonly insightsCluster2?: string;
  /**
   * Another cluster, as in InsightsCluster1.
   */
  readonly insightsCluster3?: string;
  /**
   * Another cluster, as in InsightsCluster1.
   */
  readonly insightsCluster4?: string;
  /**
   * on creates an EventBridge rule that reports stopped tasks, with the reason, as soon as they stop, and deployments
   * and other events of services. off lists stopped tasks through the ECS API once a minute; events of services are
   * only reported with on. One of off, on. Default: off.
   */
  readonly taskStateChangeEvents?: "off" | "on";
  /**
   * Remote write URL of an existing workspace. Set it together with WorkspaceArn. If both are empty, the stack creates
   * a workspace.
   */
  readonly remoteWriteUrl?: string;
  /**
   * ARN of the workspace of RemoteWriteUrl.
   */
  readonly workspaceArn?: string;
  /**
   * Alias of the workspace and name of its rules. If empty, the name of the stack. Set it if that is longer than 64
   * characters, the limit of AMP.
   */
  readonly name?: string;
  /**
   * Role that the function assumes to write metrics, for a workspace in another account. Its trust policy must allow
   * the role of the function. If empty, the role of the function writes.
   */
  readonly ampRoleArn?: string;
  /**
   * External ID that the trust policy of AmpRoleArn requires. If empty, none is sent.
   */
  readonly ampExternalId?: string;
  /**
   * Region of X-Ray. If empty, the region of the stack.
   */
  readonly xrayRegion?: string;
  /**
   * Role that the function assumes to call X-Ray in another account. Its trust policy must allow the role of the
   * function. If empty, the role of the function calls X-Ray.
   */
  readonly xrayRoleArn?: string;
  /**
   * External ID that the trust policy of XRayRoleArn requires. If empty, none is sent.
   */
  readonly xrayExternalId?: string;
  /**
   * Whether to load the recording and alert rules of prometheus/rules.yaml into the workspace. One of on, off. Default:
   * on.
   */
  readonly loadRules?: "on" | "off";
  /**
   * SNS topic for the alerts of LoadRules. It applies only to a workspace that this stack creates. The topic policy
   * must allow aps.amazonaws.com to publish. If empty, no alert manager is configured.
   */
  readonly alertTopicArn?: string;
  /**
   * Processor architecture of the function. The binary must be built for it. One of arm64, x86_64. Default: arm64.
   */
  readonly architecture?: "arm64" | "x86_64";
  /**
   * Memory in MB. Lambda allocates CPU in proportion to memory; 1769 MB is equivalent to one vCPU. Default: 512.
   */
  readonly memorySize?: number;
  /**
   * Maximum number of concurrent invocations. It limits the cost that unauthorized requests can cause, and the ECS
   * calls of all execution environments. The default of 10 leaves at least four for requests, each of which takes some
   * 50 ms. Lambda also allows ten requests per second for each unit - raise it for more than 1000 tasks that push. At
   * least 6, because the spool uses up to five and the schedule needs one. -1 reserves no concurrency, for an account
   * whose quota is too small (AWS keeps 100 unreserved); 0 disables the function. Default: 10.
   */
  readonly reservedConcurrency?: number;
  /**
   * Subnets from which the function can connect to the stats endpoints of the tasks. If empty, the function is not
   * attached to a VPC.
   */
  readonly subnetIds?: string[];
  /**
   * Security groups of the function. Set them together with SubnetIds. The security groups of the tasks must allow
   * inbound traffic from them.
   */
  readonly securityGroupIds?: string[];
  /**
   * on lets the function in SubnetIds and the load balancer use IPv6, too. Their subnets must then have IPv6 ranges.
   * One of off, on. Default: off.
   */
  readonly ipv6?: "off" | "on";
  /**
   * Policy that limits the permissions of both roles that the stack creates. If empty, they have no boundary.
   */
  readonly permissionsBoundaryArn?: string;
  /**
   * Key that encrypts the environment variables, queues, log groups and the workspace. Its policy must allow CloudWatch
   * Logs to use it. If empty, AWS owns the keys. Changing it replaces the workspace, and the old one is retained.
   */
  readonly kmsKeyArn?: string;
  /**
   * Level of the function log. An alarm counts lines of level INFO. DEBUG adds a line for each successful request,
   * which CloudWatch charges for. One of INFO, DEBUG. Default: INFO.
   */
  readonly logLevel?: "INFO" | "DEBUG";
  /**
   * Retention period of the log groups, in days. One of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731,
   * 1096, 1827, 2192, 2557, 2922, 3288, 3653. Default: 14.
   */
  readonly logRetentionDays?: number;
  /**
   * ARN of the SNS topic for alarm notifications. If empty, the alarms have no action.
   */
  readonly alarmTopicArn?: string;
  /**
   * Settings of README.md that have no parameter of their own. Lines of NAME=value, or one line with a semicolon before
   * each name, for example SIDECARLESS_DELTA=keep;SIDECARLESS_METADATA=on.
   */
  readonly settings?: string;
  /**
   * Name of an SSM parameter with lines as in Settings, which the function reads when it starts. It may be longer than
   * the 4 KB that all environment variables of a function may have. If empty, none is read.
   */
  readonly settingsParameter?: string;
}

/** Name of each parameter in the template. */
export const PARAMETER_NAMES: { readonly [key in keyof SidecarlessParameters]-?: string } = {
  ingress: "Ingress",
  tokensSha256: "TokensSha256",
  iamCallers: "IamCallers",
  corsOrigins: "CorsOrigins",
  loadBalancerSubnetIds: "LoadBalancerSubnetIds",
  loadBalancerSecurityGroupIds: "LoadBalancerSecurityGroupIds",
  loadBalancerCertificateArn: "LoadBalancerCertificateArn",
  loadBalancerDomainName: "LoadBalancerDomainName",
  serviceNetworkId: "ServiceNetworkId",
  otlpLogs: "OtlpLogs",
  clusters: "Clusters",
  tasks: "Tasks",
  sources: "Sources",
  cloudwatchInterval: "CloudWatchInterval",
  scrapeRules: "ScrapeRules",
  tagLabels: "TagLabels",
  statsNames: "StatsNames",
  compat: "Compat",
  indexedAttributes: "IndexedAttributes",
  traceDestination: "TraceDestination",
  metricsTo: "MetricsTo",
  insightsCluster1: "InsightsCluster1",
  insightsCluster2: "InsightsCluster2",
  insightsCluster3: "InsightsCluster3",
  insightsCluster4: "InsightsCluster4",
  taskStateChangeEvents: "TaskStateChangeEvents",
  remoteWriteUrl: "RemoteWriteUrl",
  workspaceArn: "WorkspaceArn",
  name: "Name",
  ampRoleArn: "AmpRoleArn",
  ampExternalId: "AmpExternalId",
  xrayRegion: "XRayRegion",
  xrayRoleArn: "XRayRoleArn",
  xrayExternalId: "XRayExternalId",
  loadRules: "LoadRules",
  alertTopicArn: "AlertTopicArn",
  architecture: "Architecture",
  memorySize: "MemorySize",
  reservedConcurrency: "ReservedConcurrency",
  subnetIds: "SubnetIds",
  securityGroupIds: "SecurityGroupIds",
  ipv6: "Ipv6",
  permissionsBoundaryArn: "PermissionsBoundaryArn",
  kmsKeyArn: "KmsKeyArn",
  logLevel: "LogLevel",
  logRetentionDays: "LogRetentionDays",
  alarmTopicArn: "AlarmTopicArn",
  settings: "Settings",
  settingsParameter: "SettingsParameter",
};
