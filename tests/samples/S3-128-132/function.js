
async (event) => {
log('Looking up users for tenant B');
const users = await db_query('SELECT * FROM users');
return users.filter(u => u.id === event.userId);
}
