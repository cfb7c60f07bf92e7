module.exports = async function(req, res) {
try {
const data = await fetch('https://api.example.com/data');
res.json(await data.json());
} catch (error) {
// Fallback to cached data
const cached = await kv.get('cached:data');
if (cached) {
return res.json({ ...cached, fromCache: true });
}
// Last resort
res.status(503).json({
error: 'Service temporarily unavailable'
});
}
};

// The sample's hosts stand for an upstream of the test.
function fetch(url, init) {
  return globalThis.fetch(url.replace(/^https:\/\/api\.\w+\.com/, process.env.UPSTREAM), init);
}
