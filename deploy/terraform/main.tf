# Creates the stack of ../sidecarless.yaml. All resources of sidecarless are in the stack; the module adds the two objects in S3 that
# CloudFormation reads.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "stack_name" {
  type        = string
  default     = "sidecarless"
  description = "Name of the stack and of its log group."
}

variable "zip" {
  type        = string
  description = "Path of the zip file of a release, sidecarless-VERSION-ARCHITECTURE.zip, for the processor of the variable architecture."
}

variable "bucket" {
  type        = string
  description = "S3 bucket in the region of the stack, to which the zip file and the template are uploaded."
}

variable "prefix" {
  type        = string
  default     = "sidecarless/"
  description = "Prefix of the keys of both objects."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags of the stack and of all its resources that support tags."
}

locals {
  template = "${path.module}/../sidecarless.yaml"
}

data "aws_s3_bucket" "this" {
  bucket = var.bucket
}

# The keys contain hashes: CloudFormation updates a function only if the key changes. Each object is replaced after its successor
# exists, so that a failed update can return to it.
resource "aws_s3_object" "code" {
  bucket = var.bucket
  key    = "${var.prefix}${filesha256(var.zip)}.zip"
  source = var.zip

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_s3_object" "template" {
  bucket = var.bucket
  key    = "${var.prefix}${filesha256(local.template)}.yaml"
  source = local.template

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudformation_stack" "this" {
  name         = var.stack_name
  template_url = "https://${data.aws_s3_bucket.this.bucket_regional_domain_name}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM"]
  tags         = var.tags

  parameters = merge(
    { for name, value in local.parameters : name => tostring(value) if value != null },
    {
      CodeBucket = aws_s3_object.code.bucket
      CodeKey    = aws_s3_object.code.key
    },
  )
}

output "otlp_endpoint" {
  description = "Endpoint for OpenTelemetry SDKs. null if ingress is none."
  value       = lookup(aws_cloudformation_stack.this.outputs, "OtlpEndpoint", null)
}

output "function_arn" {
  description = "ARN of the function."
  value       = lookup(aws_cloudformation_stack.this.outputs, "FunctionArn", null)
}

output "workspace_id" {
  description = "ID of the workspace that the stack created. null if remote_write_url is set."
  value       = lookup(aws_cloudformation_stack.this.outputs, "WorkspaceId", null)
}

output "outputs" {
  description = "All outputs of the stack."
  value       = aws_cloudformation_stack.this.outputs
}
