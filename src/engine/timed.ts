/** An engine whose compiling and running is timed. */
import { time, type Stopwatch } from '../util/stopwatch.js';
import type { Engine } from './engine.js';

export function timedEngine(engine: Engine, stopwatch: Stopwatch<'compile' | 'run'>): Engine {
  interface Runs<A extends unknown[], R> {
    run(...args: A): Promise<R>;
    dispose(): Promise<void>;
  }
  const timed = <A extends unknown[], R>(program: Runs<A, R>): Runs<A, R> => ({
    run: (...args) => time(stopwatch, 'run', () => program.run(...args)),
    dispose: () => program.dispose(),
  });
  const compiled = <A extends unknown[], R>(compile: () => Promise<Runs<A, R>>): Promise<Runs<A, R>> =>
    time(stopwatch, 'compile', async () => timed(await compile()));
  const { name } = engine;
  return {
    name,
    compile: (graph, own) => compiled(() => engine.compile(graph, own)),
    ...(engine.compileChoices === undefined
      ? {}
      : { compileChoices: (positions, own) => compiled(() => engine.compileChoices!(positions, own)) }),
    dispose: () => engine.dispose(),
  };
}
