// Signs what its standard input says: a line `vector METHOD URL BODY KEY SECRET TOKEN TIME` or `send URL BODY`, separated by tabs.
const http = require("http");
const readline = require("readline");
const { signature } = require(`${process.env.HELPERS}/signing/sidecarless-signing.cjs`);

function send(url, body) {
  return new Promise((resolve) => {
    const request = http.request(url, { method: "POST" }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    request.on("error", (error) => resolve(`error: ${error.message}`));
    // In two parts, as a stream does.
    request.write(body.slice(0, 3));
    request.end(body.slice(3));
  });
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [kind, ...values] = line.split("\t");
    if (kind === "vector") {
      const [method, address, body, accessKeyId, secretAccessKey, sessionToken, time] = values;
      const url = new URL(address);
      const headers = signature(method, url.pathname + url.search, url.host, body, { accessKeyId, secretAccessKey, sessionToken }, new Date(time));
      console.log(headers.authorization);
    } else {
      console.log(await send(...values));
    }
  }
})();
