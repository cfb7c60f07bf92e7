module.exports = async function(req, res) {
const startTime = Date.now();
try {
const result = await processRequest(req);
// Track success
await trackMetric('requests.success', 1);
await trackMetric('requests.latency', Date.now() - startTime);
res.json(result);
} catch (error) {
// Track failure
await trackMetric('requests.error', 1);
throw error;
}
};
async function trackMetric(metric, value) {
const key = `metrics:${metric}:${getTimeBucket()}`;
const current = await kv.get(key) || 0;
await kv.set(key, current + value, 3600);
}
function getTimeBucket() {
// 5-minute buckets
return Math.floor(Date.now() / 300000) * 300000;
}

async function processRequest(req) {
  if (req.body.fail) throw new Error('the disk is full');
  return { n: 42 };
}
