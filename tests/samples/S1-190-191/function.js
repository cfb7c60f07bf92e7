module.exports = (req, res) => {
const userId = 2;
const users = [/*...*/];
const user = users.find(u => u.id === userId);
res.json(user ?? null);
};
