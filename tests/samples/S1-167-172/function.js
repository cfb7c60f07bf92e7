module.exports = async function (req, res) {
// ❌ Multiple requests
const user = await fetch('/api/user/1');
const posts = await fetch('/api/user/1/posts');
const comments = await fetch('/api/user/1/comments');
// ✅ Single batched request
const data = await fetch('/api/user/1?include=posts,comments');
res.json([user, posts, comments, data]);
};
