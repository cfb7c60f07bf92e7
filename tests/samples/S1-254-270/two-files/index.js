const { validateEmail, sanitizeInput } = require('./helpers');

// index.js
module.exports = async function(req, res) {
const { email, message } = req.body;
if (!validateEmail(email)) {
return res.status(400).json({ error: 'Invalid email' });
}
const sanitized = sanitizeInput(message);
await processMessage(email, sanitized);
res.json({ success: true });
};

async function processMessage(email, text) {
  await kv.set('message', { email, text });
}
