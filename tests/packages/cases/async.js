const async = require('async');

module.exports = async () => {
  const doubled = await async.mapLimit([1, 2, 3], 2, async (n) => n * 2);
  const flow = await async.auto({
    a: async () => 1,
    b: async () => 2,
    sum: ['a', 'b', async ({ a, b }) => a + b],
  });
  const waterfall = await new Promise((resolve, reject) => {
    async.waterfall([
      (next) => next(null, 'a'),
      (text, next) => setTimeout(() => next(null, `${text}b`), 1),
    ], (error, result) => (error ? reject(error) : resolve(result)));
  });
  let tries = 0;
  const retried = await async.retry({ times: 3, interval: 1 }, async () => {
    if (++tries < 3) throw new Error('again');
    return tries;
  });
  const queued = [];
  const queue = async.queue(async (task) => { queued.push(task); }, 2);
  queue.push([1, 2, 3]);
  await queue.drain();
  return { doubled, flow, waterfall, retried, queued, grouped: await async.groupBy([1, 2, 3], async (n) => n % 2) };
};
