/**
 * Progressive shrinking (Once-for-All, ICLR 2020, section 3.3 and appendix A; `train_ofa_net.py:42-128`): epochs, warm-up
 * and rates of the paper, the rates for a batch of 64. The reference leaves out the first phase; its rate is the paper's
 * 2.6 at batch 2048.
 */
const distillation = { teacher: 'largest' } as const;

export const progressive = {
  format: 'ofakit.schedule/1',
  name: 'progressive',
  description:
    'Progressive shrinking as in Once-for-All: largest network, then elastic resolution and kernel, depth, width',
  batchSize: 64,
  momentum: 0.9,
  weightDecay: 3e-5,
  labelSmoothing: 0.1,
  phases: [
    {
      name: 'largest',
      epochs: 180,
      learningRate: 0.08,
      subnets: ['largest'],
      choices: { imageSize: 1, ks: 1, d: 1, e: 1, w: 1 },
    },
    {
      name: 'kernel',
      epochs: 125,
      warmupEpochs: 5,
      learningRate: 0.03,
      subnets: ['random'],
      choices: { d: 1, e: 1, w: 1 },
      distillation,
    },
    {
      name: 'depth 1',
      epochs: 25,
      learningRate: 0.0025,
      subnets: ['random', 'random'],
      choices: { d: 2, e: 1, w: 1 },
      distillation,
    },
    {
      name: 'depth 2',
      epochs: 125,
      warmupEpochs: 5,
      learningRate: 0.0075,
      subnets: ['random', 'random'],
      choices: { e: 1, w: 1 },
      distillation,
    },
    {
      name: 'width 1',
      epochs: 25,
      learningRate: 0.0025,
      subnets: ['random', 'random', 'random', 'random'],
      choices: { e: 2, w: 2 },
      distillation,
      sortChannels: true,
    },
    {
      name: 'width 2',
      epochs: 125,
      warmupEpochs: 5,
      learningRate: 0.0075,
      subnets: ['random', 'random', 'random', 'random'],
      distillation,
      sortChannels: true,
    },
  ],
};
