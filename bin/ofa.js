#!/usr/bin/env node
import { main } from '../dist/cli/main.js';

process.exitCode = await main(process.argv.slice(2));
// Modules of the user's own may have left timers or servers behind, which would keep the process.
setTimeout(() => process.exit(), 1000).unref();
