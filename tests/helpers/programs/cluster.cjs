// A Node cluster of three workers that works until its standard input ends: INTERVAL.
'use strict';

const cluster = require('cluster');

require(`${process.env.HELPERS}/sidecarless-stats.cjs`).start(Number(process.argv[2]));
if (cluster.isPrimary) {
  for (let worker = 0; worker < 3; worker += 1) cluster.fork();
  process.stdin.on('end', () => { console.log('finished'); process.exit(); }).resume();
}
