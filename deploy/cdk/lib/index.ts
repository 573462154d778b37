import * as path from "node:path";
import { CfnStack, Names } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";
import { PARAMETER_NAMES, SidecarlessParameters } from "./parameters";

export { SidecarlessParameters } from "./parameters";

/** The file with the code, and the parameters of the template. */
export interface SidecarlessProps extends SidecarlessParameters {
  /** Path of the zip file of a release, sidecarless-VERSION-ARCHITECTURE.zip, for the processor of `architecture`. */
  readonly zip: string;
}

/** The template as a nested stack. */
export class Sidecarless extends Construct {
  /** The nested stack. */
  readonly stack: CfnStack;

  private readonly ingress: NonNullable<SidecarlessParameters["ingress"]>;

  constructor(scope: Construct, id: string, props: SidecarlessProps) {
    super(scope, id);
    this.ingress = props.ingress ?? "url";
    const code = new Asset(this, "Code", { path: props.zip });
    const template = new Asset(this, "TemplateFile", { path: path.join(__dirname, "sidecarless.yaml") });
    this.stack = new CfnStack(this, "Stack", {
      templateUrl: template.httpUrl,
      parameters: {
        CodeBucket: code.s3BucketName,
        CodeKey: code.s3ObjectKey,
        // The name of a nested stack can be too long for AMP.
        Name: Names.uniqueResourceName(this, { maxLength: 64 }),
        ...templateParameters(props),
      },
    });
  }

  /** Endpoint for OpenTelemetry SDKs. Throws if `ingress` is `none`. */
  get otlpEndpoint(): string {
    if (this.ingress === "none") {
      throw new Error("There is no endpoint: set ingress to url, url-iam, alb or lattice.");
    }
    return this.output("OtlpEndpoint");
  }

  /** ARN of the function. */
  get functionArn(): string {
    return this.output("FunctionArn");
  }

  /** An output of the template. Deploying fails if it does not exist with these parameters. */
  output(name: string): string {
    return this.stack.getAtt(`Outputs.${name}`).toString();
  }

  /** Allows a task role to send signed requests. With bearer tokens, a role needs no permission, and nothing is added. */
  grantSend(grantee: iam.IGrantable): void {
    if (this.ingress === "url-iam") {
      const actions = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"];
      iam.Grant.addToPrincipal({ grantee, actions, resourceArns: [this.functionArn] });
    } else if (this.ingress === "lattice") {
      const resourceArns = [`${this.output("LatticeServiceArn")}/*`];
      iam.Grant.addToPrincipal({ grantee, actions: ["vpc-lattice-svcs:Invoke"], resourceArns });
    }
  }
}

/** Returns the parameters that are set, with their names in the template. */
function templateParameters(parameters: SidecarlessParameters): Record<string, string> {
  const names = Object.entries(PARAMETER_NAMES) as [keyof SidecarlessParameters, string][];
  const set: Record<string, string> = {};
  for (const [property, name] of names) {
    const value = parameters[property];
    if (value !== undefined) {
      set[name] = Array.isArray(value) ? value.join(",") : String(value);
    }
  }
  return set;
}
