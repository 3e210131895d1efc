/** One random subnet a step, labels only (arXiv 2204.09210, whose code trains 180 epochs at 0.01 with a batch of 64). */
export const random = {
  format: 'ofakit.schedule/1',
  name: 'random',
  description: 'One random subnet a step, without distillation',
  batchSize: 64,
  momentum: 0.9,
  weightDecay: 3e-5,
  labelSmoothing: 0,
  phases: [{ name: 'random', epochs: 180, learningRate: 0.01, subnets: ['random'] }],
};
