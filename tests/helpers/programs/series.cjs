// Prints the series of each line of the standard input, which has both documents.
'use strict';

const { series } = require(`${process.env.HELPERS}/sidecarless-otel.cjs`);

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(Boolean);
for (const line of lines) {
  const { task, stats } = JSON.parse(line);
  console.log(JSON.stringify(series(task, stats)));
}
