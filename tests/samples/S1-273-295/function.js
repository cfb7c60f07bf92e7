/**
* Processes webhook from payment provider
*
* @param {Object} req - Express request object
* @param {Object} res - Express response object
*/
module.exports = async function(req, res) {
// Verify webhook signature to prevent spoofing
const isValid = verifySignature(req);
if (!isValid) {
return res.status(401).json({ error: 'Invalid signature' });
}
// Extract and validate payment data
const { amount, currency, orderId } = req.body;
// Update order status in KV store
await kv.set(`order:${orderId}`, {
status: 'paid',
amount,
currency,
paidAt: Date.now()
});
res.json({ success: true });
};

function verifySignature(req) {
  return req.get('x-signature') === 'good';
}
