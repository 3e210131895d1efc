/** From images to numbers for each channel, and back. Images lie as [N, H, W, C]. */
import { channelExpandOperation, channelSumOperation } from '../../../graph/operations/conv.js';
import { globalAverageImageOperation, globalAveragePoolOperation } from '../../../graph/operations/pool.js';
import { perAxis } from '../layout.js';
import { channelsLast, rule } from '../rule.js';

export const globalAveragePoolRule = rule(globalAveragePoolOperation, channelsLast, ({ tf }, [x]) =>
  tf.mean(x!, [1, 2]),
);

export const globalAverageImageRule = rule(globalAverageImageOperation, channelsLast, ({ tf }, [x]) =>
  tf.mean(x!, [1, 2], true),
);

export const channelSumRule = rule(channelSumOperation, channelsLast, ({ tf }, [x]) => tf.sum(x!, [0, 1, 2]));

export const channelExpandRule = rule(
  channelExpandOperation,
  channelsLast,
  ({ tf, attributes, layout }, [x]) => tf.broadcastTo(x!, perAxis(attributes.shape, layout)),
);
