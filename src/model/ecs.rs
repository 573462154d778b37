//! Values of the Amazon ECS API that decisions depend on, parsed from their spelling in the API, and the network
//! location that follows from two of them.
//!
//! An unknown value is stored as `Other`, and a value that ECS did not send is `Unspecified`,
//! spelled as the empty text. `as_str` returns the spelling of ECS: labels and filters depend on it. Source: Amazon ECS
//! API Reference (`Task`, `Container`, `TaskDefinition`, `Service`, `Deployment`, `ContainerInstance`). DescribeTasks, state change events and the task metadata
//! endpoint use the same values.

use serde::{Deserialize, Deserializer};

use crate::model::json::JsonStr;

macro_rules! ecs_value {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub enum $name {
            $($variant,)*
            /// A value that is not in this list, in the spelling of ECS.
            Other(Box<str>),
            #[default]
            Unspecified,
        }

        impl $name {
            /// Returns the spelling of ECS; empty when unspecified.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $text,)*
                    $name::Other(text) => text,
                    $name::Unspecified => "",
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => $name::$variant,)*
                    "" => $name::Unspecified,
                    other => $name::Other(other.into()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                JsonStr::deserialize(deserializer).map(|text| (&*text).into())
            }
        }

        #[cfg(test)]
        impl $name {
            const KNOWN: &[Self] = &[$($name::$variant,)*];
        }
    };
}

ecs_value! {
    /// Network mode of a task definition.
    NetworkMode {
        Awsvpc "awsvpc",
        Bridge "bridge",
        Host "host",
        None "none",
    }
}

ecs_value! {
    /// Launch type of a task. ECS may omit it for a task of a capacity provider.
    LaunchType {
        Ec2 "EC2",
        External "EXTERNAL",
        Fargate "FARGATE",
        ManagedInstances "MANAGED_INSTANCES",
    }
}

ecs_value! {
    /// Last or desired status of a task (Amazon ECS Developer Guide, "Task lifecycle").
    TaskStatus {
        Provisioning "PROVISIONING",
        Pending "PENDING",
        Activating "ACTIVATING",
        Running "RUNNING",
        Deactivating "DEACTIVATING",
        Stopping "STOPPING",
        Deprovisioning "DEPROVISIONING",
        Stopped "STOPPED",
        Deleted "DELETED",
    }
}

ecs_value! {
    /// Status of a container. Only the task metadata endpoint reports the steps between `PENDING` and `RUNNING`.
    ContainerStatus {
        Pending "PENDING",
        ManifestPulled "MANIFEST_PULLED",
        Pulled "PULLED",
        Created "CREATED",
        Running "RUNNING",
        ResourcesProvisioned "RESOURCES_PROVISIONED",
        Stopped "STOPPED",
    }
}

ecs_value! {
    /// Result of a container's health check; unspecified for a container without one.
    HealthStatus {
        Healthy "HEALTHY",
        Unhealthy "UNHEALTHY",
        Unknown "UNKNOWN",
    }
}

ecs_value! {
    /// Connection of ECS to the agent of a task's host.
    Connectivity {
        Connected "CONNECTED",
        Disconnected "DISCONNECTED",
    }
}

ecs_value! {
    /// Status of a service. ECS describes an inactive one for some time after its deletion.
    ServiceStatus {
        Active "ACTIVE",
        Draining "DRAINING",
        Inactive "INACTIVE",
    }
}

ecs_value! {
    /// State of a deployment. Unspecified without the deployment controller `ECS`, or with a Classic Load Balancer.
    RolloutState {
        Completed "COMPLETED",
        InProgress "IN_PROGRESS",
        Failed "FAILED",
    }
}

ecs_value! {
    /// Status of a container instance.
    ContainerInstanceStatus {
        Active "ACTIVE",
        Draining "DRAINING",
        Registering "REGISTERING",
        Deregistering "DEREGISTERING",
        RegistrationFailed "REGISTRATION_FAILED",
        Inactive "INACTIVE",
    }
}

/// The setting `containerInsights` of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContainerInsights {
    /// ECS was not asked, or did not answer.
    #[default]
    Unknown,
    /// `enabled` or `enhanced`.
    On,
    Off,
}

impl ContainerInsights {
    /// Parses the value of the setting (Amazon ECS API Reference, `ClusterSetting`).
    pub fn parse(value: &str) -> Self {
        match value {
            "enabled" | "enhanced" => Self::On,
            "disabled" => Self::Off,
            _ => Self::Unknown,
        }
    }
}

/// The owner of the network interface and address that a task uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkLocation {
    /// The task has an elastic network interface. Its containers share one address and one set of network counters.
    Task,
    /// The network interface of the container instance.
    Host,
    /// The task has no network.
    None,
}

impl NetworkLocation {
    /// Returns the network location of a task. Fargate supports only `awsvpc`, so the mode does not have to be known. A
    /// definition without a mode uses `bridge` on Linux and the NAT network on Windows (Amazon ECS Developer Guide,
    /// "Task definition parameters").
    pub fn new(mode: &NetworkMode, launch_type: &LaunchType) -> Self {
        match (mode, launch_type) {
            (NetworkMode::Awsvpc, _) | (_, LaunchType::Fargate) => Self::Task,
            (NetworkMode::None, _) => Self::None,
            (NetworkMode::Bridge | NetworkMode::Host | NetworkMode::Other(_) | NetworkMode::Unspecified, _) => {
                Self::Host
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_the_spelling_of_ecs() {
        macro_rules! check {
            ($($name:ident)*) => {$(
                for value in $name::KNOWN {
                    assert_eq!($name::from(value.as_str()), *value);
                    assert_eq!(value.to_string(), value.as_str());
                }
                assert_eq!($name::from("fargate"), $name::Other("fargate".into()));
                assert_eq!($name::from("fargate").as_str(), "fargate");
                assert_eq!(($name::from(""), $name::default().as_str()), ($name::Unspecified, ""));
            )*};
        }
        check!(NetworkMode LaunchType TaskStatus ContainerStatus HealthStatus);
        check!(Connectivity ServiceStatus RolloutState ContainerInstanceStatus);
    }

    #[test]
    fn null_in_json_is_unspecified() {
        assert_eq!(serde_json::from_str::<LaunchType>("null").unwrap(), LaunchType::Unspecified);
        assert_eq!(serde_json::from_str::<LaunchType>("\"EC2\"").unwrap(), LaunchType::Ec2);
    }

    #[test]
    fn network_location_follows_from_mode_and_launch_type() {
        for (mode, launch_type, expected) in [
            ("awsvpc", "EC2", NetworkLocation::Task),
            ("awsvpc", "FARGATE", NetworkLocation::Task),
            ("awsvpc", "MANAGED_INSTANCES", NetworkLocation::Task),
            ("awsvpc", "", NetworkLocation::Task),
            ("", "FARGATE", NetworkLocation::Task),
            ("bridge", "EC2", NetworkLocation::Host),
            ("bridge", "EXTERNAL", NetworkLocation::Host),
            ("host", "EC2", NetworkLocation::Host),
            ("host", "MANAGED_INSTANCES", NetworkLocation::Host),
            ("nat", "EC2", NetworkLocation::Host),
            ("", "EC2", NetworkLocation::Host),
            ("", "", NetworkLocation::Host),
            ("none", "EC2", NetworkLocation::None),
            ("none", "EXTERNAL", NetworkLocation::None),
            ("none", "", NetworkLocation::None),
        ] {
            assert_eq!(NetworkLocation::new(&mode.into(), &launch_type.into()), expected, "{mode} {launch_type}");
        }
    }

    #[test]
    fn missing_setting_is_unknown_and_not_off() {
        for (value, expected) in [
            ("enabled", ContainerInsights::On),
            ("enhanced", ContainerInsights::On),
            ("disabled", ContainerInsights::Off),
            ("", ContainerInsights::Unknown),
            ("later", ContainerInsights::Unknown),
        ] {
            assert_eq!(ContainerInsights::parse(value), expected, "{value:?}");
        }
    }
}
