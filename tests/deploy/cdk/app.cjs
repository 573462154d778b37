// Synthesizes stacks with the construct. Arguments: the compiled construct, the zip file, the output folder, and the properties of
// the stack to deploy as JSON.
const [construct, zip, outdir, properties] = process.argv.slice(2);
const { App, CfnOutput, DefaultStackSynthesizer, Stack, aws_iam: iam } = require("aws-cdk-lib");
const { Sidecarless } = require(construct);

const app = new App({ outdir });
// MiniStack has no bootstrap stack, whose version the rule reads.
const stack = (name) => new Stack(app, name, { synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }) });

const deployed = stack("from-cdk");
const sidecarless = new Sidecarless(deployed, "Sidecarless", { zip, ...JSON.parse(properties) });
new CfnOutput(deployed, "Endpoint", { value: sidecarless.otlpEndpoint });
new CfnOutput(deployed, "FunctionArn", { value: sidecarless.functionArn });

// Only synthesized.
for (const ingress of ["url", "url-iam", "alb", "lattice"]) {
  const synthesized = stack(`ingress-${ingress}`);
  const role = new iam.Role(synthesized, "TaskRole", { assumedBy: new iam.ServicePrincipal("ecs-tasks.amazonaws.com") });
  new Sidecarless(synthesized, "Sidecarless", { zip, ingress, loadBalancerSubnetIds: ["subnet-1", "subnet-2"], memorySize: 1024 }).grantSend(role);
}

app.synth();
