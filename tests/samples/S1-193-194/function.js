module.exports = (req, res) => {
const userId = 2;
const users = [{ id: 1, name: 'Ada' }, { id: 2, name: 'Bob' }];
const usersMap = new Map(users.map(u => [u.id, u]));
const user = usersMap.get(userId);
res.json(user);
};
