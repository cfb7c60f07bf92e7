module.exports = async function (req, res) {
// ✅ Use external services for heavy work
const result = await fetch('https://api.service.com/process', {
method: 'POST',
body: JSON.stringify(req.body)
});
res.json(await result.json());
};

// The sample's hosts stand for an upstream of the test.
function fetch(url, init) {
  return globalThis.fetch(url.replace(/^https:\/\/api\.\w+\.com/, process.env.UPSTREAM), init);
}
