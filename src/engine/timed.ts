/** An engine whose compiling and running is timed. */
import { time, type Stopwatch } from '../util/stopwatch.js';
import type { Engine, Program } from './engine.js';

export function timedEngine(engine: Engine, stopwatch: Stopwatch<'compile' | 'run'>): Engine {
  const timed = (program: Program): Program => ({
    run: (inputs) => time(stopwatch, 'run', () => program.run(inputs)),
    dispose: () => program.dispose(),
  });
  return {
    name: engine.name,
    compile: (graph) => time(stopwatch, 'compile', async () => timed(await engine.compile(graph))),
    dispose: () => engine.dispose(),
  };
}
