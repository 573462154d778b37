//! Prices of AWS. docs/cost.md shows this table.
//!
//! List prices in USD for US East (N. Virginia), without free tiers and discounts.

use serde_json::{Value, json};

use super::options::Arch;

/// Region of the prices.
pub(super) const REGION: &str = "US East (N. Virginia)";
pub(super) const REGION_CODE: &str = "us-east-1";

/// Date of the prices.
pub(super) const DATE: &str = "2026-11-22";

/// Hours per month, as in the AWS Pricing Calculator.
pub(super) const HOURS: f64 = 730.0;
pub(super) const MINUTES: f64 = HOURS * 60.0;
pub(super) const SECONDS: f64 = MINUTES * 60.0;

/// One price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Price {
    /// Billed item.
    item: &'static str,
    pub(super) usd: f64,
    /// Number of units.
    per: Per,
    unit: &'static str,
    /// Pricing page.
    page: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Per {
    One,
    Thousand,
    Million,
    TenMillion,
}

impl Price {
    const fn new(item: &'static str, usd: f64, per: Per, unit: &'static str, page: &'static str) -> Self {
        Self { item, usd, per, unit, page }
    }

    /// Returns the cost of units in USD.
    pub(super) fn cost(&self, units: f64) -> f64 {
        units / self.units() * self.usd
    }

    /// Returns text such as `$0.20 per million requests`.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.rate(), self.unit)
    }

    /// Returns text such as `$0.20 per million`, without the unit.
    pub(super) fn rate(&self) -> String {
        let per = match self.per {
            Per::One => "",
            Per::Thousand => " thousand",
            Per::Million => " million",
            Per::TenMillion => " 10 million",
        };
        // At least two decimals, and all decimals of the price.
        let (plain, cents) = (self.usd.to_string(), format!("{:.2}", self.usd));
        let usd = if plain.len() > cents.len() { plain } else { cents };
        format!("${usd} per{per}")
    }

    pub(super) fn json(&self) -> Value {
        json!({"item": self.item, "usd": self.usd, "per": self.units(), "unit": self.unit, "page": self.page})
    }

    fn units(&self) -> f64 {
        match self.per {
            Per::One => 1.0,
            Per::Thousand => 1e3,
            Per::Million => 1e6,
            Per::TenMillion => 1e7,
        }
    }
}

const LAMBDA: &str = "https://aws.amazon.com/lambda/pricing/";
const EVENTBRIDGE: &str = "https://aws.amazon.com/eventbridge/pricing/";
const SQS: &str = "https://aws.amazon.com/sqs/pricing/";
const CLOUDWATCH: &str = "https://aws.amazon.com/cloudwatch/pricing/";
const PROMETHEUS: &str = "https://aws.amazon.com/prometheus/pricing/";
const XRAY: &str = "https://aws.amazon.com/xray/pricing/";
const FARGATE: &str = "https://aws.amazon.com/fargate/pricing/";
const VPC: &str = "https://aws.amazon.com/vpc/pricing/";
const PRIVATELINK: &str = "https://aws.amazon.com/privatelink/pricing/";

const LAMBDA_ARM: Price = Price::new("Lambda on arm64", 0.000_013_333_4, Per::One, "GB-second", LAMBDA);
const LAMBDA_X86: Price = Price::new("Lambda on x86_64", 0.000_016_666_7, Per::One, "GB-second", LAMBDA);
pub(super) const LAMBDA_REQUEST: Price = Price::new("Lambda", 0.20, Per::Million, "requests", LAMBDA);
pub(super) const SCHEDULER: Price = Price::new("EventBridge Scheduler", 1.00, Per::Million, "invocations", EVENTBRIDGE);
pub(super) const SQS_REQUEST: Price = Price::new("SQS, standard queue", 0.40, Per::Million, "requests", SQS);
pub(super) const LOGS: Price = Price::new("CloudWatch Logs", 0.50, Per::One, "GB ingested", CLOUDWATCH);
pub(super) const ALARM: Price = Price::new("CloudWatch alarm", 0.10, Per::One, "alarm-month", CLOUDWATCH);
pub(super) const CUSTOM_METRIC: Price =
    Price::new("CloudWatch custom metric, first 10,000", 0.30, Per::One, "metric-month", CLOUDWATCH);
pub(super) const OTEL_METRICS: Price =
    Price::new("CloudWatch, OpenTelemetry metrics", 0.50, Per::One, "GB ingested", CLOUDWATCH);
pub(super) const OTEL_QUERY: Price =
    Price::new("CloudWatch, PromQL queries outside of the console", 0.01, Per::Million, "samples scanned", CLOUDWATCH);
pub(super) const METRIC_READ: Price =
    Price::new("CloudWatch GetMetricData", 0.01, Per::Thousand, "metrics requested", CLOUDWATCH);
pub(super) const INSIGHTS: Price =
    Price::new("Container Insights, enhanced", 0.07, Per::One, "metric-month", CLOUDWATCH);
pub(super) const AMP_FIRST: Price = Price::new("AMP, first 2 billion", 0.90, Per::TenMillion, "samples", PROMETHEUS);
const AMP_NEXT: Price = Price::new("AMP, next 250 billion", 0.35, Per::TenMillion, "samples", PROMETHEUS);
const AMP_REST: Price = Price::new("AMP, beyond", 0.16, Per::TenMillion, "samples", PROMETHEUS);
pub(super) const AMP_STORAGE: Price = Price::new("AMP, storage", 0.03, Per::One, "GB-month", PROMETHEUS);
pub(super) const XRAY_TRACE: Price = Price::new("X-Ray", 5.00, Per::Million, "traces recorded", XRAY);
const FARGATE_X86: Fargate = Fargate {
    vcpu: Price::new("Fargate, Linux x86_64", 0.040_48, Per::One, "vCPU-hour", FARGATE),
    gb: Price::new("Fargate, Linux x86_64", 0.004_445, Per::One, "GB-hour", FARGATE),
};
const FARGATE_ARM: Fargate = Fargate {
    vcpu: Price::new("Fargate, Linux arm64", 0.032_38, Per::One, "vCPU-hour", FARGATE),
    gb: Price::new("Fargate, Linux arm64", 0.003_56, Per::One, "GB-hour", FARGATE),
};
pub(super) const NAT_HOUR: Price = Price::new("NAT gateway", 0.045, Per::One, "hour", VPC);
pub(super) const NAT_GB: Price = Price::new("NAT gateway", 0.045, Per::One, "GB", VPC);
const ENDPOINT_HOUR: Price = Price::new("interface endpoint", 0.01, Per::One, "hour and zone", PRIVATELINK);
const ENDPOINT_GB: Price = Price::new("interface endpoint", 0.01, Per::One, "GB", PRIVATELINK);

/// Minimum price of a Spot task, from "Up to 70 % off" (AWS Fargate Pricing). The price depends on supply and demand.
pub(super) const SPOT_SHARE: f64 = 0.3;

/// All prices, in the order of docs/cost.md.
pub(super) const ALL: [Price; 25] = [
    FARGATE_X86.vcpu,
    FARGATE_X86.gb,
    FARGATE_ARM.vcpu,
    FARGATE_ARM.gb,
    LAMBDA_ARM,
    LAMBDA_X86,
    LAMBDA_REQUEST,
    SCHEDULER,
    SQS_REQUEST,
    LOGS,
    ALARM,
    CUSTOM_METRIC,
    OTEL_METRICS,
    OTEL_QUERY,
    METRIC_READ,
    INSIGHTS,
    AMP_FIRST,
    AMP_NEXT,
    AMP_REST,
    AMP_STORAGE,
    XRAY_TRACE,
    NAT_HOUR,
    NAT_GB,
    ENDPOINT_HOUR,
    ENDPOINT_GB,
];

/// Prices of a task size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fargate {
    pub(super) vcpu: Price,
    pub(super) gb: Price,
}

impl Fargate {
    pub(super) fn for_arch(arch: Arch) -> Self {
        match arch {
            Arch::Arm64 => FARGATE_ARM,
            Arch::X86 => FARGATE_X86,
        }
    }

    /// Returns USD per month for CPU units (1,024 are one vCPU) and MiB (1,024 are one GB).
    pub(super) fn month(&self, cpu: f64, mib: f64) -> f64 {
        HOURS * (self.vcpu.cost(cpu / 1024.0) + self.gb.cost(mib / 1024.0))
    }
}

pub(super) fn lambda(arch: Arch) -> Price {
    match arch {
        Arch::Arm64 => LAMBDA_ARM,
        Arch::X86 => LAMBDA_X86,
    }
}

/// Returns USD for samples written to AMP in one month, by tier.
pub(super) fn amp(samples: f64) -> f64 {
    let tiers = [(AMP_FIRST, 2e9), (AMP_NEXT, 250e9), (AMP_REST, f64::INFINITY)];
    let (mut remaining, mut usd) = (samples, 0.0);
    for (price, size) in tiers {
        usd += price.cost(remaining.min(size));
        remaining = (remaining - size).max(0.0);
    }
    usd
}
