// ✅ Use KV store for state
module.exports = async function(req, res) {
const state = await kv.get('state');
const newState = updateState(state, req.body);
await kv.set('state', newState);
res.json(newState);
};

function updateState(state, body) {
  return { ...(state || {}), ...body };
}
