/**
 * The sandwich rule with in-place distillation (Yu & Huang, 2019; BigNAS, 2020): every step trains the largest network
 * on labels, then the smallest and two random ones on the largest's predictions.
 */
export const sandwich = {
  format: 'ofakit.schedule/1',
  name: 'sandwich',
  description: 'Largest, smallest and two random subnets a step, distilled in place',
  batchSize: 64,
  momentum: 0.9,
  weightDecay: 1e-5,
  labelSmoothing: 0.1,
  phases: [
    {
      name: 'sandwich',
      epochs: 360,
      warmupEpochs: 5,
      learningRate: 0.025,
      subnets: ['largest', 'smallest', 'random', 'random'],
      distillation: { teacher: 'in-place', weight: 1, labelWeight: 0 },
    },
  ],
};
