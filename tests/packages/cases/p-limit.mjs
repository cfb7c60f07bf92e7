import pLimit from 'p-limit';

export default async () => {
  const limit = pLimit(2);
  let running = 0;
  let most = 0;
  const work = (n) => limit(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 1));
    running--;
    return n * n;
  });
  const results = await Promise.all([1, 2, 3, 4, 5].map(work));
  const failed = await limit(() => Promise.reject(new Error('no'))).catch((error) => error.message);
  return { results, most, failed, left: [limit.activeCount, limit.pendingCount] };
};
