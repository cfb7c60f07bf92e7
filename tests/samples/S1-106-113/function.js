module.exports = async function (req, res) {
// ✅ Safe
const apiKey = process.env.API_KEY;
if (!apiKey) {
return res.status(500).json({ error: 'Configuration error' });
}
const response = await fetch('https://api.example.com/data', {
headers: { 'Authorization': `Bearer ${apiKey}` }
});
res.json(await response.json());
};

// The sample's hosts stand for an upstream of the test.
function fetch(url, init) {
  return globalThis.fetch(url.replace(/^https:\/\/api\.\w+\.com/, process.env.UPSTREAM), init);
}
