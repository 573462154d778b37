// An application that starts the helper twice and works until its standard input ends: INTERVAL.
'use strict';

const helper = require(`${process.env.HELPERS}/sidecarless-stats.cjs`);

helper.start(Number(process.argv[2]));
helper.start(Number(process.argv[2]));
console.log('started');
process.stdin.on('end', () => console.log('finished')).resume();
