
async (event) => {
log('Processing webhook for tenant A');
const resp = await fetch(event.url);
return {
status: resp.status,
data: resp.data
};
}
