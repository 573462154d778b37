//! Endpoints of the requests that the function signs itself, in every region of every partition.

use aws_config::SdkConfig;
use serde_json::Value;
use sidecarless::aws::endpoints::EndpointRules;

/// Regions and domains of the partitions, from the data of another SDK.
const REGIONS: &str = include_str!("data/regions.json");

#[test]
fn every_region_has_the_endpoints_of_its_partition() {
    let data: Value = serde_json::from_str(REGIONS).unwrap();
    let aws = SdkConfig::builder().build();
    let mut count = 0;
    for partition in data["partitions"].as_array().unwrap() {
        let suffix = partition["suffix"].as_str().unwrap();
        for region in partition["regions"].as_array().unwrap() {
            let region = region.as_str().unwrap();
            let rules = EndpointRules::new(&aws, region);
            let endpoints = [
                ("xray", rules.xray()),
                ("logs", rules.logs()),
                ("ec2", rules.ec2()),
                ("monitoring", rules.cloudwatch()),
                ("ssm", rules.ssm()),
                ("aps-workspaces", rules.workspaces()),
            ];
            for (service, endpoint) in endpoints {
                assert_eq!(endpoint.unwrap().as_str(), format!("https://{service}.{region}.{suffix}/"));
            }
            count += 1;
        }
    }
    println!("show: endpoints of {count} regions in {} partitions", data["partitions"].as_array().unwrap().len());
    assert!(count > 40, "{count} regions");
}
