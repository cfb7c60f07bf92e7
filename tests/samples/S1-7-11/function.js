module.exports = async function(req, res) {
const userId = req.params.userId;
const user = await getUser(userId);
res.json({ user });
};

async function getUser(id) {
  return { id, name: `user ${id}` };
}
