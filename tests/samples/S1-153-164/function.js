module.exports = async function(req, res) {
const cacheKey = `cache:${req.path}`;
// Check cache
const cached = await kv.get(cacheKey);
if (cached) {
return res.json({ ...cached, fromCache: true });
}
// Fetch and cache
const data = await fetchExpensiveData();
await kv.set(cacheKey, data, 300); // 5 minutes
res.json({ ...data, fromCache: false });
};

async function fetchExpensiveData() {
  return { n: 7 };
}
