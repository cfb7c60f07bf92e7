import PQueue from 'p-queue';

export default async () => {
  const queue = new PQueue({ concurrency: 1, autoStart: false });
  const order = [];
  queue.add(() => order.push('low'), { priority: 0 });
  queue.add(() => order.push('high'), { priority: 10 });
  queue.add(async () => { await null; order.push('middle'); }, { priority: 5 });
  const before = [queue.size, queue.isPaused];
  queue.start();
  await queue.onIdle();
  const values = await queue.addAll([() => 1, async () => 2]);
  const failed = await queue.add(() => { throw new Error('no'); }).catch((error) => error.message);
  return { before, order, values, failed, after: [queue.size, queue.pending] };
};
